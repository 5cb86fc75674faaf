"""The status of a server as rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from moorage.deploy.events import ending_in_words
from moorage.deploy.images.schedule import schedule_rows
from moorage.deploy.status.software import software_rows
from moorage.deploy.status.status import ServerStatus, Status, how_it_ended
from moorage.rows import Level, Row
from moorage.servers.run_results import RunStatus

if TYPE_CHECKING:
    from moorage.servers.facts import Disk, Draining, RunRecord

_GIB = 1024**3


def status_rows(server: ServerStatus) -> list[Row]:
    """Return a server's status as rows, without its problems.

    Args:
        server: The server.
    """
    rows = list(_deployed_rows(server)) if server.is_deployed else []
    if server.software is not None:
        rows += software_rows(server.software)
    if (certificate := server.certificate) is not None:
        names = ", ".join(certificate.names) or certificate.subject
        until = f"{certificate.not_after:%Y-%m-%d} ({certificate.days_left} days left)"
        text = f"{names}, from {certificate.issuer}, until {until}"
        rows.append(Row("certificate", "Certificate", text))
    if server.renewal is not None:
        rows.append(Row("renewal", "Renewal", server.renewal.text))
    if server.schedule is not None:
        rows += schedule_rows(server.schedule)
    if server.disk is not None:
        rows.append(Row("disk", "Disk", _disk(server.disk)))
    if server.run is not None:
        rows.append(_run_row(server.run, is_fixed_since=server.is_fixed_since))
    return rows


def summary_rows(status: Status) -> list[Row]:
    """Return a row for each server with its state in a few words.

    Args:
        status: The status of the deployment.
    """
    unreached = (
        Row("unreachable", error.server or "", "unreachable", Level.BAD)
        for error in status.unreached
    )
    return [*map(_summary, status.servers), *unreached]


def _summary(server: ServerStatus) -> Row:
    if count := len(server.problems):
        text = f"{count} problem{'s' if count != 1 else ''}"
        return Row("problems", server.server, text, Level.WARNING)
    parts = [server.registry_version]
    if server.disk is not None:
        parts.append(f"{server.disk.free / _GIB:.1f} GiB free")
    if server.certificate is not None:
        parts.append(f"{server.certificate.days_left} d")
    return Row("healthy", server.server, " · ".join(filter(None, parts)), Level.GOOD)


def _deployed_rows(server: ServerStatus) -> Iterator[Row]:
    version = server.registry_version or "unknown version"
    slot = f" on slot {server.slot}" if server.slot else ""
    yield _running_row("registry", "Registry", server.is_serving, f"{version}, ", slot)
    if server.draining is not None:
        yield Row("draining", "Draining", _draining(server.draining), Level.PENDING)
    yield _running_row("nginx", "nginx", server.has_nginx)
    count = len(server.drifted)
    drift = f"{count} file{'s' if count != 1 else ''} edited or missing" if count else "none"
    if not server.is_partly_removed:
        yield Row("drift", "Drift", drift, Level.WARNING if count else Level.GOOD)
    when = server.deployed_at.replace("T", " ").removesuffix("Z")
    yield Row("deployed", "Deployed", f"{when} UTC by Moorage {server.moorage}")
    if server.revision:
        yield Row("revision", "Revision", f"{server.revision}, by {server.by}")


def _running_row(key: str, label: str, is_running: bool, before: str = "", after: str = "") -> Row:
    state = "running" if is_running else "not running"
    return Row(key, label, f"{before}{state}{after}", Level.GOOD if is_running else Level.BAD)


def _disk(disk: Disk) -> str:
    return f"{disk.free / _GIB:.1f} GiB free of {disk.total / _GIB:.1f} GiB on {disk.mount}"


def _draining(there: Draining) -> str:
    since = draining_since(there)
    return f"slot {there.slot}, {there.count} since {since}; it stops when they finish"


def draining_since(there: Draining) -> str:
    """Return when a slot started draining, ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(there.since))


def _run_row(run: RunRecord, *, is_fixed_since: bool) -> Row:
    ended = how_it_ended(run)
    step = "" if ended is RunStatus.DONE else run.step
    text = f"{run.run_id} {ending_in_words(ended, step, '')}"
    if is_fixed_since:
        text += "; fixed since: the server matches its record"
        return Row("run", "Last run", text, Level.WARNING)
    return Row("run", "Last run", text, ended.level)
