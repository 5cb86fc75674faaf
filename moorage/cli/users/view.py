"""Users, servers and changes as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from moorage.cli.errors import as_json
from moorage.cli.plan_view import Line, diff_lines
from moorage.cli.tables import ACTION_STYLES, Cell, aligned, signed
from moorage.deploy.users.rows import UserRow, only_elsewhere, server_rows, user_rows
from moorage.users import describe
from moorage.users.on_servers import UsersStatus

if TYPE_CHECKING:
    from moorage.deploy.plan.plan import ServerPlan
    from moorage.deploy.users.change import UsersPlan, UsersRead
    from moorage.deploy.users.last_seen import Seen
    from moorage.users.describe import UserDifference

_MOST_CHANGES = 20
_MOST_DIFF_LINES = 60


def change_lines(
    changes: Sequence[UserDifference], plan: UsersPlan, more: Sequence[str] = ()
) -> Iterator[Line]:
    """Yield a change as text: each user's change, then the diffs.

    Args:
        changes: The changes of users.
        plan: The changes on each server.
        more: Further lines about the change.
    """
    for each in changes[:_MOST_CHANGES]:
        yield ((f"{each.sign} ", ACTION_STYLES[each.action]), f"{each.name}: {each.text}")
    if len(changes) > _MOST_CHANGES:
        yield (f"… and {len(changes) - _MOST_CHANGES} more",)
    for sentence in (*describe.notes(changes), *more):
        yield (sentence,)
    shown: dict[tuple[str, ...], str] = {}
    for server in plan.servers:
        yield ("",)
        diffs = tuple(change.diff or change.subject for change in server.changes)
        if not server.has_changes:
            yield ((server.server, "bold"), "  nothing to change")
        elif diffs in shown:
            yield ((server.server, "bold"), f"  same as on {shown[diffs]}")
        else:
            shown[diffs] = server.server
            yield from _server_lines(server)
    for label in plan.left_out:
        yield ("",)
        yield ((label, "bold"), ("  unreachable: it will not get this change now", "yellow"))
    yield ("",)


def changes_as_json(changes: Sequence[UserDifference]) -> list[dict[str, object]]:
    """Return each user's change as JSON values."""
    return [
        {
            "user": each.name,
            "action": each.action,
            "fields": list(each.fields),
            "what": each.text,
            "note": each.note or None,
        }
        for each in changes
    ]


def users_lines(read: UsersRead, seen: Mapping[str, Seen] | None) -> Iterator[Line]:
    """Yield the users as a table, and each server's status.

    Args:
        read: The users on the servers.
        seen: Each user's last login and push, or None to leave them out.
    """
    head = ["user", "access", "repositories", "password", "state", "servers"]
    head += ["last seen", "last push"] if seen is not None else []
    yield from aligned([tuple((title, "bold") for title in head), *map(_cells, _rows(read, seen))])
    yield ("",)
    yield from aligned([signed(row) for row in server_rows(read)])


def _rows(read: UsersRead, seen: Mapping[str, Seen] | None) -> list[UserRow]:
    return user_rows(read, (*read.users, *only_elsewhere(read)), seen)


def _cells(row: UserRow) -> tuple[Cell, ...]:
    state: Cell = (row.state, "yellow") if row.state else ""
    times = (row.seen.last_seen or "-", row.seen.last_push or "-") if row.seen is not None else ()
    return (row.user.name, row.access, row.repositories, row.hash, state, row.where, *times)


def users_as_json(read: UsersRead, seen: Mapping[str, Seen] | None) -> dict[str, object]:
    """Return the users and each server's status as JSON values; see :func:`users_lines`."""
    statuses = read.statuses
    servers: list[dict[str, object]] = [
        {
            "server": user_list.server,
            "status": statuses[user_list.server],
            "edited_by_hand": user_list.has_drifted,
            "users_revision": user_list.revision,
            "run": user_list.run or None,
        }
        for user_list in read.user_lists
    ]
    servers += [
        {
            "server": error.server,
            "status": UsersStatus.UNREACHABLE,
            "outdated": error.server in read.latest.missed,
            "error": as_json(error),
        }
        for error in read.unreached
    ]
    return {"users": [_user_as_json(row) for row in _rows(read, seen)], "servers": servers}


def _user_as_json(row: UserRow) -> dict[str, object]:
    times = {}
    if row.seen is not None:
        times = {
            "last_seen": row.seen.last_seen or None,
            "last_push": row.seen.last_push or None,
        }
    return {
        "name": row.user.name,
        "access": row.user.access,
        "repositories": list(row.user.repositories),
        "hash": row.hash,
        "disabled": row.user.disabled,
        "counts": row.counts,
        "servers": row.servers,
        **times,
    }


def _server_lines(server: ServerPlan) -> Iterator[Line]:
    yield ((server.server, "bold"),)
    for change in server.changes:
        if change.drift:
            yield ((f"  {change.subject} was edited by hand", "bold yellow"),)
        if change.script is not None:
            yield (("> ", "cyan"), f"the hook {change.subject} runs: {change.why()}")
        if not change.diff.strip():
            continue
        lines = list(diff_lines(change.diff))
        yield from lines[:_MOST_DIFF_LINES]
        if len(lines) > _MOST_DIFF_LINES:
            yield (f"… and {len(lines) - _MOST_DIFF_LINES} more lines",)
