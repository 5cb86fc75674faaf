"""A status as text and as JSON values."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from moorage.cli.errors import as_json, explain
from moorage.cli.plan_view import Line
from moorage.cli.tables import lined_up
from moorage.deploy.status import ServerStatus, Status, how_it_ended
from moorage.servers.run_results import RunStatus

if TYPE_CHECKING:
    from moorage.deploy.acme import Renewal
    from moorage.servers.facts import Draining, RunRecord


def status_lines(status: Status) -> Iterator[Line]:
    """Yield a status as lines for people.

    Args:
        status: The status.
    """
    for server in status.servers:
        yield from _server_lines(server)
        yield ("",)
    for error in status.unreached:
        yield ((f"✗ {error.server}", "bold red"), "  not reached")
        yield (f"  {explain(error)}",)
        yield ("",)
    for other in status.others:
        yield ("○ ", (other.named, "bold"), "  recorded as another server; not connected to")
    if status.unknown_because:
        yield (f"Whether an apply would change something is not known: {status.unknown_because}",)
    elif status.has_changes is not None:
        if status.has_changes:
            yield ("An apply would change something; 'moorage plan FILE --diff' shows what.",)
        else:
            yield ("An apply would change nothing.",)


def status_as_json(status: Status) -> dict[str, object]:
    """Return a status as JSON values.

    Args:
        status: The status.
    """
    return {
        "healthy": status.exit_code == 0,
        "has_changes": status.has_changes,
        "unknown_because": status.unknown_because or None,
        "servers": [_server_as_json(server) for server in status.servers],
        "unreached": [as_json(error) for error in status.unreached],
        "others": [other.named for other in status.others],
    }


def _server_lines(server: ServerStatus) -> Iterator[Line]:
    sign, style = ("✓ ", "green") if server.is_healthy else ("✗ ", "red")
    head = server.domain or "nothing deployed"
    yield ((sign, style), (server.server, "bold"), f"  {head}", (f"  {server.os_name}", "dim"))
    yield from lined_up(list(_rows(server)), indent="  ")
    for fault in server.faults:
        yield (("  wrong: ", "bold red"), fault)


def _rows(server: ServerStatus) -> Iterator[tuple[str, str]]:
    if server.is_deployed:
        yield "deployed", f"{server.deployed_at} by Moorage {server.moorage}"
        if server.revision:
            yield "revision", f"{server.revision}, by {server.by}"
        state = "running" if server.is_serving else "not running"
        yield (
            "registry",
            f"{server.registry_version or 'unknown version'}, {state}"
            + (f" on slot {server.slot}" if server.slot else ""),
        )
        if server.draining is not None:
            yield "draining", _draining(server.draining)
        yield "nginx", "running" if server.has_nginx else "not running"
        count = len(server.drifted)
        yield "drift", "none" if not count else "1 file" if count == 1 else f"{count} files"
    if server.certificate is not None:
        names = ", ".join(server.certificate.names) or server.certificate.subject
        yield (
            "certificate",
            f"{names}, from {server.certificate.issuer}, until "
            f"{server.certificate.not_after:%Y-%m-%d} ({server.certificate.days_left} days left)",
        )
    if server.renewal is not None:
        yield "renewal", server.renewal.text
    if server.disk is not None:
        yield (
            "disk",
            f"{server.disk.free / 1024**3:.1f} GiB free of {server.disk.total / 1024**3:.1f} "
            f"on {server.disk.mount}",
        )
    if server.run is not None:
        yield "last run", _run(server.run)


def renewal_as_json(renewal: Renewal | None) -> dict[str, object] | None:
    """Return how the last renewal went, as JSON values."""
    if renewal is None:
        return None
    return {
        "tried_at": renewal.tried_at and renewal.tried_at.isoformat(),
        "outcome": renewal.outcome or None,
        "message": renewal.message or None,
        "next_at": renewal.next_at and renewal.next_at.isoformat(),
    }


def _draining(there: Draining) -> str:
    return f"slot {there.slot}, {there.count} since {_in_utc(there)}; it stops when they have ended"


def _in_utc(there: Draining) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(there.since))


def _run(run: RunRecord) -> str:
    ended = how_it_ended(run)
    if ended is RunStatus.RUNNING:
        return f"{run.run_id} is going on, step {run.step}"
    return f"{run.run_id} {ended.label}" + (
        f" at step {run.step}" if ended is not RunStatus.DONE else ""
    )


def _server_as_json(server: ServerStatus) -> dict[str, object]:
    certificate, disk, run = server.certificate, server.disk, server.run
    return {
        "server": server.server,
        "healthy": server.is_healthy,
        "faults": list(server.faults),
        "os": server.os_name,
        "deployed": server.is_deployed,
        "domain": server.domain or None,
        "deployed_at": server.deployed_at or None,
        "revision": server.revision or None,
        "by": server.by or None,
        "moorage": server.moorage or None,
        "registry_version": server.registry_version or None,
        "slot": server.slot,
        "registry_running": server.is_serving,
        "draining": server.draining
        and {
            "slot": server.draining.slot,
            "transfers": server.draining.transfers,
            "since": _in_utc(server.draining),
        },
        "nginx_running": server.has_nginx,
        "drifted": list(server.drifted),
        "certificate": certificate
        and {
            "names": list(certificate.names),
            "issuer": certificate.issuer,
            "not_after": certificate.not_after.isoformat(),
            "days_left": certificate.days_left,
        },
        "renewal": renewal_as_json(server.renewal),
        "disk": disk
        and {
            "mount": disk.mount,
            "total": disk.total,
            "free": disk.free,
            "inodes": disk.inodes,
            "free_inodes": disk.free_inodes,
        },
        # found is null where the first run did not record it.
        "additions": server.additions
        and {
            "found": server.additions.found and dict(server.additions.found),
            "added": dict(server.additions.added),
        },
        "run": run
        and {
            "run": run.run_id,
            "status": how_it_ended(run),
            "code": run.code or None,
            "step": run.step,
            "message": run.message,
        },
    }
