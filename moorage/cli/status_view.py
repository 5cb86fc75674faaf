"""A status as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.cli.errors import as_json, explain
from moorage.cli.plan_view import Line
from moorage.cli.tables import row_lines
from moorage.deploy.images.schedule import schedule_as_json
from moorage.deploy.status.repairs import Repair, repair_of
from moorage.deploy.status.rows import draining_since, status_rows
from moorage.deploy.status.software import software_as_json
from moorage.deploy.status.status import ServerStatus, Status, how_it_ended
from moorage.rows import Row

if TYPE_CHECKING:
    from moorage.deploy.certificates.acme import Renewal
    from moorage.errors import MoorageError


def status_lines(status: Status) -> Iterator[Line]:
    """Yield a status as text.

    Args:
        status: The status.
    """
    for server in status.servers:
        yield from _server_lines(server)
        yield ("",)
    for error in status.unreached:
        yield ((f"✗ {error.server}", "bold red"), "  unreachable")
        yield (f"  {explain(error)}",)
        yield ("",)
    for other in status.others:
        yield ("○ ", (other.destination, "bold"), "  another server on record; not connected to")
    for left in status.left:
        yield ("! ", (left.server.destination, "bold"), f"  {left.text}")
        yield (f"  {left.advice}",)
    if status.versions:
        yield (f"{status.versions_text} Upgrade the others: moorage upgrade FILE",)
    if status.unknown_because:
        yield (f"Cannot tell whether an apply would change anything: {status.unknown_because}",)
    elif status.has_changes is not None:
        if status.has_changes:
            yield ("There are changes to apply; see 'moorage plan FILE --diff'.",)
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
        "others": [other.destination for other in status.others],
        "left": [
            {
                "server": left.label,
                "destination": left.server.destination,
                "bucket": left.bucket or None,
                "prefix": left.prefix or None,
                "at": left.at or None,
                "by": left.by or None,
            }
            for left in status.left
        ],
        "versions": {version: list(names) for version, names in status.versions.items()},
    }


def _server_lines(server: ServerStatus) -> Iterator[Line]:
    sign, style = ("✓ ", "green") if server.is_healthy else ("✗ ", "red")
    head = server.domain or "nothing deployed"
    yield ((sign, style), (server.server, "bold"), f"  {head}", (f"  {server.os_name}", "dim"))
    yield from row_lines([_with_command(row) for row in status_rows(server)], indent="  ")
    for problem in server.problems:
        yield (("  ✗ ", "bold red"), problem.explain(), (_command(problem), "dim"))


def _with_command(row: Row) -> Row:
    """Return a row with the command that updates the registry, if it has an update."""
    if row.key != "registry_update":
        return row
    return replace(row, text=f"{row.text}: moorage upgrade FILE")


def _command(problem: MoorageError) -> str:
    """Return the command that repairs a problem, in brackets; empty if none does."""
    repair = repair_of(problem)
    return f" ({_COMMANDS[repair]})" if repair in _COMMANDS else ""


_COMMANDS = {
    Repair.APPLY: "moorage apply FILE",
    Repair.LOGS: "moorage logs FILE",
    Repair.IMAGES: "moorage images collect FILE",
    Repair.UNINSTALL: "moorage uninstall FILE",
}


def renewal_as_json(renewal: Renewal | None) -> dict[str, object] | None:
    """Return the last renewal as JSON values."""
    if renewal is None:
        return None
    return {
        "tried_at": renewal.tried_at and renewal.tried_at.isoformat(),
        "outcome": renewal.outcome or None,
        "message": renewal.message or None,
        "next_at": renewal.next_at and renewal.next_at.isoformat(),
    }


def _server_as_json(server: ServerStatus) -> dict[str, object]:
    certificate, disk, run = server.certificate, server.disk, server.run
    return {
        "server": server.server,
        "healthy": server.is_healthy,
        "problems": [
            {
                "code": each.code,
                "message": each.message,
                "advice": each.advice,
                "repair": repair_of(each),
            }
            for each in server.problems
        ],
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
            "since": draining_since(server.draining),
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
        "collection": schedule_as_json(server.schedule),
        "software": software_as_json(server.software),
        "disk": disk
        and {
            "mount": disk.mount,
            "total": disk.total,
            "free": disk.free,
            "inodes": disk.inodes,
            "free_inodes": disk.free_inodes,
        },
        # found is null if the first run did not record it.
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
