"""Leases on the lab's network, and the removal of what dead processes left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.network import remove_network
from lab.nspawn import release_machine
from lab.process import ProcessIdentity, run_program
from lab.record import ServerRecord
from lab.server import LabServer
from lab.state import LabFolder, write_json


def take_lease(folder: LabFolder) -> None:
    """Keep the network for as long as this process lives.

    Args:
        folder: The lab's folder.
    """
    own = ProcessIdentity.own()
    write_json(folder.leases / f"{own.pid}.json", {"started": own.started})


def drop_lease(folder: LabFolder) -> None:
    """Release this process's hold on the network.

    Args:
        folder: The lab's folder.
    """
    (folder.leases / f"{ProcessIdentity.own().pid}.json").unlink(missing_ok=True)


def sweep(folder: LabFolder) -> None:
    """Remove what dead processes left behind, and the network if it is unused.

    Args:
        folder: The lab's folder.
    """
    with folder.lock("network"):
        _drop_dead_leases(folder)
        _stop_abandoned_services(folder)
        in_use = any(folder.leases.glob("*.json")) or any(folder.services.glob("*.json"))
        for path in sorted(folder.servers.glob("*")):
            record = ServerRecord.load(path / "server.json")
            if record is None or record.is_abandoned():
                LabServer(folder, path.name).destroy()
            else:
                in_use = True
        _remove_abandoned_snapshots(folder, in_use)
        if not in_use:
            remove_network(folder)
            _remove_stray_namespaces(folder)
            release_machine()


def _remove_abandoned_snapshots(folder: LabFolder, in_use: bool) -> None:
    for path in folder.snapshots.glob("*-*"):
        pid, _, started = path.name.partition("-")
        if not in_use or not ProcessIdentity(int(pid), int(started)).is_alive():
            shutil.rmtree(path, ignore_errors=True)


def _drop_dead_leases(folder: LabFolder) -> None:
    for path, lease in _records(folder.leases):
        if not ProcessIdentity(int(path.stem), lease["started"]).is_alive():
            path.unlink(missing_ok=True)


def _stop_abandoned_services(folder: LabFolder) -> None:
    for path, service in _records(folder.services):
        if not ProcessIdentity(*service["owner"]).is_alive():
            ProcessIdentity(*service["process"]).kill()
            path.unlink(missing_ok=True)


def _records(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the records in a folder, which their owners can remove at any time."""
    for path in folder.glob("*.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        yield path, record


def _remove_stray_namespaces(folder: LabFolder) -> None:
    for path in Path("/run/netns").glob(f"moor{folder.tag}-*"):
        run_program(["ip", "netns", "delete", path.name], check=False)
