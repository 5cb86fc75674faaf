"""A lab: the servers that one process, or the command line, uses."""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from lab import machine, rootfs
from lab.errors import LabError
from lab.leases import drop_lease, sweep, take_lease
from lab.network import Network, ensure_network
from lab.process import ProcessIdentity
from lab.record import ServerRecord
from lab.server import LabServer
from lab.snapshots import Snapshot
from lab.state import LabFolder, write_json

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


class Lab:
    """Boots throwaway servers and removes them.

    Args:
        stay: Servers outlive this process and have exactly the given name, as on the command
            line. Otherwise they are removed with this process, and their names get a random
            suffix, so that parallel processes do not collide.
        folder: The lab's folder; MOORAGE_LAB_DIR or /var/lib/moorage-lab when None.

    Raises:
        LabError: Servers cannot run on this machine.
    """

    def __init__(self, *, stay: bool = False, folder: Path | None = None) -> None:
        self.folder = LabFolder(folder) if folder else LabFolder.from_environment()
        self.stay = stay
        self._servers: list[LabServer] = []
        self._process = os.getpid()
        machine.prepare()
        sweep(self.folder)
        take_lease(self.folder)
        atexit.register(self.close)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def network(self) -> Network:
        """The bridge, created on first use."""
        with self.folder.lock("network"):
            return ensure_network(self.folder)

    @property
    def gateway(self) -> str:
        """This machine's address as the servers see it."""
        return self.network.gateway

    @property
    def gateway6(self) -> str:
        """This machine's IPv6 address as the servers see it."""
        network = self.network
        network.add_ipv6()
        return network.gateway6

    def boot(
        self,
        name: str = "server",
        *,
        suite: str = "bookworm",
        variant: str = "bare",
        extra: Sequence[str] = (),
        snapshot: Snapshot | None = None,
    ) -> LabServer:
        """Boot a new server and wait until it accepts logins.

        Args:
            name: Its hostname: small letters, digits and dashes.
            suite: bookworm or trixie.
            variant: A key of rootfs.VARIANTS.
            extra: Additional packages; the resulting image is cached.
            snapshot: Boot a copy of this one instead of an image.

        Raises:
            LabError: The name is taken or invalid, or the server does not come up.
        """
        if not _NAME.fullmatch(name):
            raise LabError(f"invalid name {name!r}: use a-z, 0-9 and -, at most 40 characters")
        image = (
            snapshot.image
            if snapshot is not None
            else rootfs.ensure_image(self.folder, suite, variant, extra)
        )
        server = self._register(name, image)
        try:
            server.set_up()
            server.start()
        except BaseException:
            self.destroy(server)
            raise
        return server

    def boot_many(
        self,
        names: Sequence[str],
        *,
        suite: str = "bookworm",
        variant: str = "bare",
        extra: Sequence[str] = (),
        snapshot: Snapshot | None = None,
    ) -> list[LabServer]:
        """Boot several servers at the same time.

        Args:
            names: Their hostnames.
            suite: bookworm or trixie.
            variant: A key of rootfs.VARIANTS.
            extra: Additional packages.
            snapshot: Boot copies of this one instead of an image.
        """
        with ThreadPoolExecutor(max_workers=4) as pool:
            started = [
                pool.submit(
                    self.boot, name, suite=suite, variant=variant, extra=extra, snapshot=snapshot
                )
                for name in names
            ]
        failures = [error for error in (future.exception() for future in started) if error]
        if failures:
            for future in started:
                if future.exception() is None:
                    self.destroy(future.result())
            raise failures[0]
        return [future.result() for future in started]

    def _register(self, hostname: str, image: rootfs.RootImage) -> LabServer:
        name = hostname if self.stay else f"{hostname}-{secrets.token_hex(3)}"
        own = ProcessIdentity.own()
        with self.folder.lock("network"):
            network = ensure_network(self.folder)
            # Read each record only once: other processes can remove theirs at any time.
            others = [record for _, record in self._all_records()]
            if name in [record.name for record in others]:
                raise LabError(f"server {name} already exists; see `python -m lab down {name}`")
            last_file = self.folder.path / "last-address"
            last = last_file.read_text().strip() if last_file.exists() else None
            address = network.next_address((record.address for record in others), last)
            last_file.write_text(address)
            record = ServerRecord(
                name=name,
                hostname=hostname,
                address=address,
                suite=image.suite,
                variant=image.variant,
                layers=tuple(str(layer) for layer in image.layers),
                owner=None if self.stay else (own.pid, own.started),
            )
            server = LabServer(self.folder, name)
            shutil.rmtree(server.folder, ignore_errors=True)
            write_json(server.folder / "server.json", asdict(record))
            self._servers.append(server)
        return server

    @property
    def servers(self) -> list[LabServer]:
        """The servers that this lab has booted and not yet removed."""
        return list(self._servers)

    def all_servers(self) -> list[LabServer]:
        """List the servers of all processes and the command line."""
        return [LabServer(self.folder, name) for name, _ in self._all_records()]

    def _all_records(self) -> list[tuple[str, ServerRecord]]:
        files = sorted(self.folder.servers.glob("*/server.json"))
        read = [(path.parent.name, ServerRecord.load(path)) for path in files]
        return [(name, record) for name, record in read if record is not None]

    def find(self, name: str) -> LabServer:
        """Return a server by its name.

        Args:
            name: Its name, as in `python -m lab list`.

        Raises:
            LabError: It does not exist.
        """
        server = LabServer(self.folder, name)
        assert server.record is not None
        return server

    def destroy(self, server: LabServer) -> None:
        """Remove one server.

        Args:
            server: The server, of this lab or another.
        """
        server.destroy()
        self._servers = [other for other in self._servers if other.name != server.name]

    def destroy_all(self) -> None:
        """Remove all servers that this lab has booted."""
        for server in self.servers:
            self.destroy(server)

    def close(self) -> None:
        """Remove this lab's servers, unless they stay, and the network if it is unused."""
        if os.getpid() != self._process:
            return  # This is a fork of the process that owns the servers.
        atexit.unregister(self.close)
        if not self.stay:
            self.destroy_all()
        drop_lease(self.folder)
        sweep(self.folder)

    def remove_unused(self, *, packages: bool = False) -> list[Path]:
        """Remove unused images; they are rebuilt when needed.

        Args:
            packages: Also remove downloaded packages.

        Returns:
            The removed folders.
        """
        used = {
            Path(layer).parent for server in self.all_servers() for layer in server.record.layers
        }
        doomed = [path for path in self.folder.images.glob("*") if path not in used]
        doomed.append(self.folder.container_images)
        if packages:
            doomed.append(self.folder.path / "packages")
        doomed = [path for path in doomed if path.exists()]
        for path in doomed:
            rootfs.unmount(path)
            shutil.rmtree(path)
        return doomed
