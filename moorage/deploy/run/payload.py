"""The payload of a run: the run script, the plan as data, and the changed files."""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from moorage.answers.secrets import Secret
from moorage.deploy.lifecycle.kept import STAYING, deployed_files, deployed_run
from moorage.deploy.plan.plan import WAIT_SECONDS, ServerPlan
from moorage.deploy.plan.programs import Program
from moorage.deploy.record.additions import ADDED_BY_RUNS, lines_of_additions
from moorage.deploy.record.deployment_json import recorded_digests
from moorage.desired import layout
from moorage.desired.build import prove_script
from moorage.desired.image_names import name_in_archive, name_once_loaded
from moorage.desired.state import Image, Listen
from moorage.local_file import open_file
from templates.load import shell_scripts

GATE_SECONDS = 900
"""Seconds a staged server waits for the others before it rolls back."""
KEEP_SECONDS = 50
"""Seconds a server waits to hear whether a change of the users worked on the others as well."""
PEER_SECONDS = 180
"""Seconds a server waits until the others forward its answers to ACME challenges."""
DRAIN_SECONDS = 24 * 3600
"""Seconds transfers on the old slot can continue after a run, before they are cut off."""
CHECK_SECONDS = 30
"""Seconds until nginx has to serve the registry at each of its addresses."""
RETIRE_SECONDS = 5
"""Seconds a run waits for transfers on the old slot; after that, another unit stops the slot."""
STEP_SECONDS = 180
"""Seconds a program can take before it is stopped and the run is rolled back."""
LONG_STEP_SECONDS = 1800
"""Likewise, when it installs packages, fetches an image or certificate, or runs chown on images."""
STOP_SECONDS = 10
"""Seconds a program still gets when the run has to stop."""

Gate = Literal["go", "wait"]
Login = tuple[str, Secret]
"""A user and their password."""
_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Timing:
    """The timing of a run: when it continues by itself, and when it waits for Moorage's signal.

    Attributes:
        gate: ``go`` switches as soon as it is staged, ``wait`` waits for the signal.
        gate_seconds: How long it waits there before it rolls back.
        keep_seconds: How long it waits, after the switch, for the signal to keep the change.
        undone: The content of deployment.json if the run is undone after the switch because another
            server failed; None when it keeps the change without waiting.
    """

    gate: Gate = "go"
    gate_seconds: int = GATE_SECONDS
    keep_seconds: int = KEEP_SECONDS
    undone: Mapping[str, object] | None = None


def payload(
    plan: ServerPlan,
    run_id: str,
    record: Mapping[str, object],
    timing: Timing,
    login: Login | None = None,
) -> Iterator[bytes]:
    """Yield the input of ``start.sh``: the run's id, the tar's size, the tar.

    Args:
        plan: The server's plan.
        run_id: The run's id; sorts by time.
        record: The new content of deployment.json.
        timing: When the run waits for a signal.
        login: A user and password to try after the switch, if one is known.
    """
    image = plan.desired.image if plan.load_image else None
    saved = image.archive if image else None
    # The end-of-archive blocks come last, so that a large image can follow the small files.
    small = _archive(_entries(plan, record, timing) | _login(login))
    end = b"\0" * 1024
    if saved is None:
        yield f"{run_id}\n{len(small) + len(end)}\n".encode() + small + end
        return
    with open_file(saved) as source:
        size = os.fstat(source.fileno()).st_size
        header = tarfile.TarInfo("image.tar")
        header.size = size
        head = header.tobuf(tarfile.GNU_FORMAT)
        padding = b"\0" * (-size % tarfile.BLOCKSIZE)
        total = len(small) + len(head) + size + len(padding) + len(end)
        yield f"{run_id}\n{total}\n".encode() + small + head
        left = size
        while left and (chunk := source.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
        yield b"\0" * left  # the file shrank meanwhile; loading it fails with an error
    yield padding + end


def new_run_id() -> str:
    """Return a new run id: the UTC time to the millisecond, so that ids sort, and a random part."""
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    return f"{stamp}{int(now * 1000) % 1000:03d}-{secrets.token_hex(2)}"


def run_input(run_id: str, entries: dict[str, bytes], *, works_without_disk: bool = False) -> bytes:
    """Return the input of ``start.sh`` for a run whose files are all in memory.

    Args:
        run_id: The run's id.
        entries: Content by path.
        works_without_disk: Whether the run is kept in memory if the disk is full.
    """
    content = _archive(entries) + b"\0" * 1024
    place = " memory" if works_without_disk else ""
    return f"{run_id}\n{len(content)}{place}\n".encode() + content


def _archive(entries: dict[str, bytes]) -> bytes:
    """Return a tar archive without the blocks that end it.

    Args:
        entries: Content by path.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o700 if name.startswith("hooks/") else 0o600
            tar.addfile(member, io.BytesIO(content))
        end = tar.offset
    return buffer.getvalue()[:end]


def _entries(plan: ServerPlan, record: Mapping[str, object], timing: Timing) -> dict[str, bytes]:
    entries = {
        **{name: script.encode() for name, script in shell_scripts("run").items()},
        **({"prove.py": prove_script()} if plan.proves_program else {}),
        "plan/settings": _settings(plan, record, timing).encode(),
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
        "plan/listens": _lines(map(_check_address, plan.desired.listens)),
        "plan/removals": _lines(f"{_digest_now(plan, path)}\t{path}" for path in plan.removals),
        "plan/hooks": _lines(
            f"{number}\t{each.moment}\t{each.hook.timeout}\t{each.hook.on_failure}\t{each.hook.name}"
            for number, each in enumerate(plan.hooks)
        ),
        "plan/added": _lines(lines_of_additions(plan.facts)),
        "plan/program": _lines(_program_lines(plan.restores)),
        "plan/deployed": _lines(iter(deployed_files(plan.facts) if _is_apply(record) else ())),
        "plan/deploys": _lines(iter(_deploys(plan, record))),
        "plan/deployment.json": _json(record),
        # A signal is sent by renaming one of these: a full disk has no room for a new file.
        **{f"unsaid.{word}": b"" for word in ("go", "abort", "keep", "undo", "gone")},
    }
    if timing.undone is not None:
        entries["plan/undone.json"] = _json(timing.undone)
    for number, file in enumerate(plan.writes):
        entries[f"content/{number}"] = file.content
    image = plan.desired.image if plan.load_image else None
    if image is not None and image.login is not None:
        # The run removes it when the image is there.
        entries["image-login/config.json"] = image.login
    for number, each in enumerate(plan.hooks):
        entries[f"hooks/{number}"] = each.content
    return entries


def _login(login: Login | None) -> dict[str, bytes]:
    """Return the files with the login for the check; the run removes them when it ends."""
    if login is None:
        return {}
    user, password = login
    encoded = base64.b64encode(f"{user}:{password.reveal()}".encode())
    return {"login": encoded, "login-name": user.encode()}


def _loaded_name(image: Image | None) -> str:
    """Return under which other name the engine has an image, once it has loaded the archive."""
    archived = name_in_archive(image.name, image.archive_names or ()) if image else ""
    return name_once_loaded(image.engine, image.name, archived) if image and archived else ""


def _lines(lines: Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _check_address(listen: Listen) -> str:
    """Return a line with the address where the run checks nginx; loopback for a wildcard."""
    address = {"*": "127.0.0.1", "[::]": "::1"}.get(listen.address, listen.address.strip("[]"))
    marks = ("yes" if mark else "no" for mark in (listen.tls, listen.has_proxy_protocol))
    return "\t".join((address, str(listen.port), *marks))


def _digest_now(plan: ServerPlan, path: str) -> str:
    there = plan.facts.files.get(path)
    return "-" if there is None else there.digest


def _json(record: Mapping[str, object]) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def _settings(plan: ServerPlan, record: Mapping[str, object], timing: Timing) -> str:
    wanted = plan.desired

    def flag(value: bool) -> str:
        return "yes" if value else "no"

    settings = {
        "server": plan.server,
        "domain": wanted.domain,
        "has_check": flag(wanted.has_check),
        "account": wanted.account,
        "storage_folder": wanted.storage_folder or "-",
        "bucket": wanted.bucket or "-",
        "store": wanted.store_id or "-",
        "store_now": (plan.facts.store.marker if plan.facts.store else "") or "-",
        "version": wanted.version,
        "engine": wanted.image.engine if wanted.image else "-",
        "image": wanted.image.name if wanted.image else "-",
        "loaded_image": _loaded_name(wanted.image) or "-",
        "load_image": flag(plan.load_image),
        "mask_packaged_registry": flag(plan.masks_packaged_registry),
        "takes_over_packaged_registry": flag(plan.takes_over_packaged_registry),
        "reload_nginx": flag(plan.reload_nginx),
        "drop_default_site": flag(plan.drops_default_site),
        "restart_nginx": flag(plan.restart_nginx),
        **_certificate_settings(plan),
        "slot_from": plan.slot_from or "-",
        "slot_to": plan.slot_to,
        "records_additions": flag(_is_apply(record)),
        "checks_version": flag(plan.switches),
        "program": _program(plan),
        "package_version": plan.package_version or "-",
        "proves": flag(plan.proves_program),
        "recorded": _digest_now(plan, layout.DEPLOYMENT),
        "gate": timing.gate,
        "gate_seconds": str(timing.gate_seconds),
        "keep": "wait" if timing.undone is not None else "keep",
        "keep_seconds": str(timing.keep_seconds),
        "drain_seconds": str(DRAIN_SECONDS),
        "check_seconds": str(CHECK_SECONDS),
        "retire_seconds": str(RETIRE_SECONDS),
        "step_seconds": str(STEP_SECONDS),
        "long_step_seconds": str(LONG_STEP_SECONDS),
        "stop_seconds": str(STOP_SECONDS),
        "hook_seconds": str(max((each.hook.timeout for each in plan.hooks), default=0)),
        "wait_seconds": str(WAIT_SECONDS),
        "ends_transfers": flag(plan.ends_transfers),
        "deployed": deployed_run(plan.facts) or "-",
        "deploys": str(record["run"]) if _deploys(plan, record) else "-",
        "calendar": wanted.calendar or "-",
        "schedule": _schedule(plan),
    }
    return "".join(f"{name}\t{value}\n" for name, value in settings.items())


def _program(plan: ServerPlan) -> str:
    """Return where the run gets the new slot's program from: keep, take or restore."""
    if plan.restores is not None:
        return "restore"
    return "take" if plan.takes_program else "keep"


def _program_lines(program: Program | None) -> Iterator[str]:
    """Yield the program that the run restores, as in program.env."""
    if program is None:
        return
    is_file = bool(program.file)
    yield f'MOORAGE_{"PROGRAM" if is_file else "IMAGE"}="{program.file or program.image}"'
    yield f'MOORAGE_IMAGE_NAME="{program.image_name}"'
    yield f'MOORAGE_PACKAGE_VERSION="{program.package_version}"'


def _is_apply(record: Mapping[str, object]) -> bool:
    return record.get("added") == ADDED_BY_RUNS


def _deploys(plan: ServerPlan, record: Mapping[str, object]) -> tuple[str, ...]:
    """Return the files of the deployment that the run records; none for a change of the users."""
    if not _is_apply(record):
        return ()
    left = layout.slot_files(plan.slot_from) if plan.slot_from and plan.switches else ()
    paths = [each.path for each in plan.desired.files if each.path not in left]
    paths += [each.path for each in plan.writes]
    # The certificate, which a rollback leaves as it is.
    paths += [path for path in plan.stays if path in recorded_digests(plan.facts)]
    return tuple(path for path in dict.fromkeys(paths) if path not in STAYING)


def _schedule(plan: ServerPlan) -> str:
    if not plan.changes_schedule:
        return "-"
    return "start" if plan.desired.calendar else "stop"


def _certificate_settings(plan: ServerPlan) -> dict[str, str]:
    order, ask = plan.desired.order, plan.ask
    how = "-" if ask is None else "force" if ask.is_forced else "obtain"
    return {
        "certificate": how,
        "challenge": order.challenge if order is not None else "-",
        "peers": " ".join(map(",".join, order.peers)) if order is not None else "",
        "peer_seconds": str(PEER_SECONDS),
    }
