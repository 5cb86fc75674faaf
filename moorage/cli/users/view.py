"""Users, servers' standings and changes, as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from moorage.cli.errors import as_json
from moorage.cli.plan_view import Line, diff_lines
from moorage.cli.tables import Cell, lined_up
from moorage.users.passwords import hash_kind

if TYPE_CHECKING:
    from moorage.deploy.last_seen import Seen
    from moorage.deploy.plan import ServerPlan
    from moorage.deploy.users_change import UsersPlan, UsersRead
    from moorage.desired.users import RegistryUser

_MOST_CHANGES = 20
_MOST_NAMES = 4
_MOST_DIFF_LINES = 60

_STANDINGS = {
    "in step": ("✓", "green", "in step"),
    "behind": ("✗", "yellow", "behind: it missed a change, and the next one repairs it"),
    "changing": ("…", "yellow", "a change is going on there"),
    "different": ("✗", "red", "different: somebody edited its users; --from names who counts"),
}


def change_lines(
    before: Sequence[RegistryUser],
    after: Sequence[RegistryUser],
    plan: UsersPlan,
    more: Sequence[str] = (),
) -> Iterator[Line]:
    """Yield a change as lines for people: what it is for each user, then the files' diffs.

    Args:
        before: The users as they are.
        after: The users as they will be.
        plan: What happens on each server.
        more: What else to say about the change.
    """
    changes = list(_changes(before, after))
    for sign, style, name, what in changes[:_MOST_CHANGES]:
        yield ((f"{sign} ", style), f"{name}: {what}")
    if len(changes) > _MOST_CHANGES:
        yield (f"… and {len(changes) - _MOST_CHANGES} more",)
    for sentence in more:
        yield (sentence,)
    shown: dict[tuple[str, ...], str] = {}
    for server in plan.servers:
        yield ("",)
        diffs = tuple(change.diff or change.subject for change in server.changes)
        if not server.has_changes:
            yield ((server.server, "bold"), "  nothing to change")
        elif diffs in shown:
            yield ((server.server, "bold"), f"  the same as on {shown[diffs]}")
        else:
            shown[diffs] = server.server
            yield from _server_lines(server)
    for label in plan.left_out:
        yield ("",)
        yield ((label, "bold"), ("  not reached: it misses this change", "yellow"))
    yield ("",)


def change_words(before: Sequence[RegistryUser], after: Sequence[RegistryUser]) -> str:
    """Return a change in a few words: ``+ ana, - bob``; empty when nobody changes.

    Args:
        before: The users as they are.
        after: The users as they will be.
    """
    names = [f"{sign} {name}" for sign, _, name, _ in _changes(before, after)]
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES] + ([f"and {more} more"] if more > 0 else []))


def changes_as_json(
    before: Sequence[RegistryUser], after: Sequence[RegistryUser]
) -> list[dict[str, object]]:
    """Return a change as JSON values: what it is for each user.

    Args:
        before: The users as they were.
        after: The users as they are.
    """
    actions = {"+": "add", "-": "remove", "~": "change"}
    return [
        {"user": name, "action": actions[sign], "what": what}
        for sign, _, name, what in _changes(before, after)
    ]


def users_lines(
    read: UsersRead, users: Sequence[RegistryUser], seen: Mapping[str, Seen] | None
) -> Iterator[Line]:
    """Yield the users as a table, and each server's standing.

    Args:
        read: The users as they were read.
        users: The users that count.
        seen: When they were last here, or None to leave that out.
    """
    everywhere, where = len(read.rosters), read.places
    head = ["user", "access", "repositories", "password", "state", "servers"]
    head += ["last seen", "last push"] if seen is not None else []
    rows: list[tuple[Cell, ...]] = [tuple((title, "bold") for title in head)]
    for user in (*users, *_only_elsewhere(read, users)):
        on = where[user.name]
        rows.append(
            (
                user.name,
                user.access or "none",
                " ".join(user.repositories) or "all",
                hash_kind(user.hash),
                ("disabled", "yellow") if user.disabled else "",
                "all" if len(on) == everywhere and not read.unreached else ", ".join(on),
                *_times(seen, user.name),
            )
        )
    yield from lined_up(rows)
    yield ("",)
    standing: list[tuple[Cell, ...]] = []
    standings = read.standings
    for roster in read.rosters:
        mark, style, words = _STANDINGS[standings[roster.server]]
        more = ", edited by hand" if roster.has_drifted else ""
        if roster.run:
            more = f" (run {roster.run}): list again when it has ended"
        standing.append(((mark, style), roster.server, f"{words}{more}"))
    for error in read.unreached:
        behind = ", behind" if error.server in read.counts.missed else ""
        standing.append((("✗", "red"), error.server or "", f"unreachable{behind}: {error.message}"))
    yield from lined_up(standing)


def users_as_json(
    read: UsersRead, users: Sequence[RegistryUser], seen: Mapping[str, Seen] | None
) -> dict[str, object]:
    """Return the users and each server's standing as JSON values; see :func:`users_lines`."""
    names = {user.name for user in users}
    where, standings = read.places, read.standings
    servers: list[dict[str, object]] = [
        {
            "server": roster.server,
            "standing": standings[roster.server],
            "edited_by_hand": roster.has_drifted,
            "users_revision": roster.revision,
            "run": roster.run or None,
        }
        for roster in read.rosters
    ]
    servers += [
        {
            "server": error.server,
            "standing": "unreachable",
            "behind": error.server in read.counts.missed,
            "error": as_json(error),
        }
        for error in read.unreached
    ]
    return {
        "users": [
            {
                "name": user.name,
                "access": user.access,
                "repositories": list(user.repositories),
                "hash": hash_kind(user.hash),
                "disabled": user.disabled,
                "counts": user.name in names,
                "servers": where[user.name],
                **_times_as_json(seen, user.name),
            }
            for user in (*users, *_only_elsewhere(read, users))
        ],
        "servers": servers,
    }


def _times(seen: Mapping[str, Seen] | None, name: str) -> tuple[str, ...]:
    if seen is None:
        return ()
    times = seen.get(name)
    return (times.last_seen or "-", times.last_push or "-") if times else ("-", "-")


def _times_as_json(seen: Mapping[str, Seen] | None, name: str) -> dict[str, object]:
    if seen is None:
        return {}
    times = seen.get(name)
    return {
        "last_seen": times.last_seen or None if times else None,
        "last_push": times.last_push or None if times else None,
    }


def _only_elsewhere(read: UsersRead, users: Sequence[RegistryUser]) -> list[RegistryUser]:
    """Return who is only on servers that do not count."""
    known = {user.name for user in users}
    found: dict[str, RegistryUser] = {}
    for roster in read.rosters:
        for user in roster.users:
            if user.name not in known:
                found.setdefault(user.name, user)
    return list(found.values())


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


def _changes(
    before: Sequence[RegistryUser], after: Sequence[RegistryUser]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield sign, style, name and what it is, for each user who changes."""
    was, now = {user.name: user for user in before}, {user.name: user for user in after}
    for name in was | now:
        old, new = was.get(name), now.get(name)
        if old is None and new is not None:
            yield "+", "green", name, f"{may(new)}, {hash_kind(new.hash)}"
        elif new is None:
            yield "-", "red", name, "removed"
        elif old is not None and new != old:
            yield "~", "yellow", name, "; ".join(_differences(old, new))


def _differences(old: RegistryUser, new: RegistryUser) -> Iterator[str]:
    if may(old) != may(new):
        yield f"{may(new)} instead of {may(old)}"
    if old.hash != new.hash:
        yield "another password"
    if old.disabled != new.disabled:
        yield "disabled" if new.disabled else "enabled"


def may(user: RegistryUser) -> str:
    """Return what a user may do, in words."""
    if user.access is None:
        return "no access"
    return f"{user.access} {' '.join(user.repositories) or 'everywhere'}"
