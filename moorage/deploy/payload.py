"""What a run takes to a server: the run script, the plan as data, and the changed files."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from moorage import __version__
from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.deploy.deployed import recorded_digests
from moorage.deploy.plan import ServerPlan
from moorage.desired import layout
from templates.load import shell_script

GATE_SECONDS = 900
"""How long a staged server waits for the others before it rolls back."""
DRAIN_SECONDS = 300
"""How long transfers on the old slot may go on."""

Gate = Literal["go", "wait"]
_CHUNK = 256 * 1024


def payload(answers: Answers, plan: ServerPlan, run_id: str, gate: Gate) -> Iterator[bytes]:
    """Yield what ``start.sh`` reads: the run's id, the tar's size, the tar.

    Args:
        answers: What the operator decided, for the record on the server.
        plan: What to do.
        run_id: The run's id; sorts by time.
        gate: go to switch once staged, wait to be told.
    """
    image = plan.desired.image if plan.load_image else None
    archive = Path(image.archive).expanduser() if image and image.archive else None
    # The blocks that end a tar come last, so that a large image can follow the small files.
    small = _tar(_entries(answers, plan, run_id, gate))
    end = b"\0" * 1024
    if archive is None:
        yield f"{run_id}\n{len(small) + len(end)}\n".encode() + small + end
        return
    size = archive.stat().st_size
    header = tarfile.TarInfo("image.tar")
    header.size = size
    head = header.tobuf(tarfile.GNU_FORMAT)
    padding = b"\0" * (-size % tarfile.BLOCKSIZE)
    total = len(small) + len(head) + size + len(padding) + len(end)
    yield f"{run_id}\n{total}\n".encode() + small + head
    with archive.open("rb") as source:
        left = size
        while left and (chunk := source.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
        yield b"\0" * left  # the file shrank meanwhile; loading it will fail and say so
    yield padding + end


def new_run_id() -> str:
    """Return a run's id: the time in UTC to the millisecond, by which ids sort, and noise."""
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    return f"{stamp}{int(now * 1000) % 1000:03d}-{secrets.token_hex(2)}"


def _tar(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o600
            tar.addfile(member, io.BytesIO(content))
        end = tar.offset
    return buffer.getvalue()[:end]


def _entries(answers: Answers, plan: ServerPlan, run_id: str, gate: Gate) -> dict[str, bytes]:
    entries = {
        "run.sh": shell_script("run.sh").encode(),
        "plan/settings": _settings(plan, gate).encode(),
        "plan/packages": _lines(package.name for package in plan.packages),
        "plan/folders": _lines(
            f"{folder.mode:o}\t{folder.owner}\t{folder.group}\t{folder.path}"
            for folder in plan.folders
        ),
        "plan/files": _lines(
            f"{number}\t{file.mode:o}\t{file.owner}\t{file.group}"
            f"\t{_digest_now(plan, file.path)}\t{file.path}"
            for number, file in enumerate(plan.writes)
        ),
        "plan/removals": _lines(f"{_digest_now(plan, path)}\t{path}" for path in plan.removals),
        "plan/deployment.json": _deployment_record(answers, plan, run_id),
    }
    for number, file in enumerate(plan.writes):
        entries[f"content/{number}"] = file.content
    return entries


def _lines(lines: Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _digest_now(plan: ServerPlan, path: str) -> str:
    there = plan.facts.files.get(path)
    return "-" if there is None else there.digest


def _settings(plan: ServerPlan, gate: Gate) -> str:
    wanted = plan.desired

    def said(value: bool) -> str:
        return "yes" if value else "no"

    masks = any(package.name == "docker-registry" for package in plan.packages)
    settings = {
        "domain": wanted.domain,
        "port": str(wanted.ports[0]),
        "tls": said(wanted.tls),
        "account": wanted.account,
        "storage_folder": wanted.storage_folder or "-",
        "version": wanted.version,
        "engine": wanted.image.engine if wanted.image else "-",
        "image": wanted.image.name if wanted.image else "-",
        "load_image": said(plan.load_image),
        "mask_packaged_registry": said(masks),
        "reload_nginx": said(plan.reload_nginx),
        "slot_from": plan.slot_from or "-",
        "slot_to": plan.slot_to,
        "port_blue": str(layout.PORTS["blue"]),
        "port_green": str(layout.PORTS["green"]),
        "gate": gate,
        "gate_seconds": str(GATE_SECONDS),
        "drain_seconds": str(DRAIN_SECONDS),
    }
    return "".join(f"{name}\t{value}\n" for name, value in settings.items())


def _deployment_record(answers: Answers, plan: ServerPlan, run_id: str) -> bytes:
    # A switch leaves the files of the slot it came from as they are.
    left = {layout.config_path(plan.slot_from)} if plan.slot_from and plan.switches else set()
    digests = {
        path: digest
        for path, digest in recorded_digests(plan.facts).items()
        if path.startswith(layout.REGISTRY_ETC + "/")
    }
    digests |= {file.path: file.digest for file in plan.desired.files if file.path not in left}
    digests |= {file.path: file.digest for file in plan.writes}
    if plan.desired.image and plan.desired.image.archive_digest:
        digests["image_archive"] = plan.desired.image.archive_digest
    record = {
        "version": 1,
        "moorage": __version__,
        "run": run_id,
        "deployed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "domain": plan.desired.domain,
        "slot": plan.slot_to,
        "registry_version": "@REGISTRY_VERSION@",
        "answers": without_secrets(answers),
        "digests": digests,
    }
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()
