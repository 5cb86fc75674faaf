"""What the users screen says: the servers in lines, the users in rows. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from textual.content import Content

from moorage.deploy.events import Event, StepBegan
from moorage.deploy.last_seen import Seen
from moorage.deploy.users_change import UsersRead
from moorage.errors import MoorageError, ServersFailed
from moorage.escape import printable
from screens.users.staging import Staging, rights
from screens.users.table import UserRow
from tui.labels import explain

SORTS = ("name", "last seen", "changes first")
_PLACES = 12
"""How wide the column of servers is."""
_FEW = 4
"""Servers in step that get a line each; more share one."""
_STANDINGS = {
    "in step": ("✓", "$text-success", "in step"),
    "behind": ("~", "$text-warning", "behind: it missed a change, and the next one brings it up"),
    "changing": ("…", "$accent", "a change is going on there, run {run}; Ctrl+R reads again"),
    "different": ("!", "$text-warning", "different: edited by hand; the next change replaces that"),
}


class Reading:
    """How far reading the servers is.

    Args:
        servers: Their labels.
    """

    def __init__(self, servers: Sequence[str]) -> None:
        self._steps = dict.fromkeys(servers, "connecting")
        self._began = time.monotonic()
        self.goes_on = True
        self.error: MoorageError | None = None

    def take(self, event: Event) -> None:
        """Note what happened."""
        if isinstance(event, StepBegan):
            words = {"connect": "connecting", "probe": "reading"}
            self._steps[event.server] = words.get(event.step, event.step)

    def end(self, error: MoorageError | None) -> None:
        """Note that it is over."""
        self.goes_on = False
        self.error = error

    def lines(self) -> Content:
        """Return a line for every server, or one for all when there are many."""
        seconds = int(time.monotonic() - self._began)
        clock = f" {seconds} s" if seconds else ""
        if len(self._steps) > _FEW:
            names = ", ".join(printable(name) for name in self._steps)
            return Content.styled("… ", "$accent") + Content(f"Reading {names}{clock}")
        width = max(len(name) for name in self._steps)
        return Content("\n").join(
            Content.styled("… ", "$accent")
            + Content.styled(f"{printable(name):<{width}}", "bold")
            + Content.styled(f"  {words}{clock}", "$text-muted")
            for name, words in self._steps.items()
        )

    def error_lines(self) -> Content:
        """Return why nothing could be read."""
        error = self.error
        errors = error.errors if isinstance(error, ServersFailed) else (error,)
        again = Content.styled("Ctrl+R reads again; Escape goes back.", "$text-muted")
        lines = [_unreachable(each, 0) for each in errors if each is not None]
        return Content("\n").join([*lines, again])


def server_lines(read: UsersRead | None, unseen: Sequence[str] = ()) -> Content:
    """Return how every server is; those in step share a line when there are many.

    Args:
        read: What the servers said.
        unseen: The servers whose logs could not be read.
    """
    if read is None:
        return Content("")
    standings = read.standings
    runs = {roster.server: printable(roster.run) for roster in read.rosters}
    good = [server for server, standing in standings.items() if standing == "in step"]
    gather = len(good) > _FEW
    names = [*([] if gather else good), *(each.server or "" for each in read.unreached)]
    names += [server for server in standings if server not in good]
    width = max((len(printable(name)) for name in names), default=0)
    lines = []
    if gather:
        lines.append(
            Content.styled("✓ ", "$text-success")
            + Content.styled(f"{len(good)} servers in step", "bold")
            + Content.styled(f"  {printable(', '.join(good))}", "$text-muted")
        )
    for server, standing in standings.items():
        if gather and standing == "in step":
            continue
        sign, colour, words = _STANDINGS[standing]
        words = words.format(run=runs[server])
        lines.append(
            Content.styled(f"{sign} ", colour)
            + Content.styled(f"{printable(server):<{width}}", "bold")
            + Content.styled(f"  {words}", "$text-muted" if standing == "in step" else colour)
        )
    lines += [_unreachable(error, width) for error in read.unreached]
    if unseen:
        without = printable(", ".join(unseen))
        lines.append(
            Content.styled("! ", "$text-warning")
            + Content.styled(
                f"Last seen is without {without}: no logs could be read", "$text-warning"
            )
        )
    return Content("\n").join(lines)


def _unreachable(error: MoorageError, width: int) -> Content:
    why = explain(error)
    return (
        Content.styled("✗ ", "$text-error")
        + Content.styled(f"{printable(error.server or ''):<{width}}", "bold")
        + Content.styled(f"  unreachable: {printable(why)}", "$text-error")
    )


def rows_of(
    staging: Staging,
    read: UsersRead | None,
    seen: Mapping[str, Seen] | None,
    wanted: str,
    sort: int,
) -> list[UserRow]:
    """Return the table's rows: who will be there, and who goes.

    Args:
        staging: The users as they are and will be.
        read: What the servers said.
        seen: When users were last here; None while that is being read.
        wanted: What a row must hold, in small letters; empty shows all.
        sort: An index into :data:`SORTS`, whatever its size.
    """
    marks = {each.name: each.sign for each in staging.differences}
    where = read.places if read else {}
    servers = len(read.rosters) + len(read.unreached) if read else 0
    gone = {name for name, sign in marks.items() if sign == "-"}
    users = [*staging.users, *(user for user in staging.base if user.name in gone)]
    now = datetime.now(UTC)
    rows = []
    for user in users:
        there = where.get(user.name, ())
        moments = seen.get(user.name, Seen()) if seen is not None else None
        row = UserRow(
            user,
            marks.get(user.name, ""),
            ago(moments.last_seen, now) if moments else "…",
            ago(moments.last_push, now) if moments else "…",
            _where(there, servers),
        )
        text = f"{user.name} {rights(user)} {row.state}".lower()
        if wanted in text:
            rows.append(row)
    rows.sort(key=lambda row: (row.user.name.lower(), row.user.name))
    if SORTS[sort % len(SORTS)] == "last seen":
        known = seen or {}
        rows.sort(key=lambda row: known.get(row.user.name, Seen()).last_seen)
    elif SORTS[sort % len(SORTS)] == "changes first":
        rows.sort(key=lambda row: not row.mark)
    return rows


def _where(there: Sequence[str], servers: int) -> str:
    """Return which servers have a user, as short as a column is wide."""
    if len(there) == servers and there:
        return "all"
    names = ", ".join(there)
    return names if len(names) <= _PLACES else f"{len(there)} of {servers}"


def ago(moment: str, now: datetime) -> str:
    """Return how long ago a moment was, in words.

    Args:
        moment: ISO 8601 in UTC; empty for one that no log knows.
        now: The time.
    """
    if not moment:
        return "-"
    then = datetime.fromisoformat(moment)
    minutes = max(0, int((now - then).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 24 * 60:
        return f"{minutes // 60} h ago"
    days = minutes // (24 * 60)
    return f"{days} day{'s' if days != 1 else ''} ago" if days < 100 else f"{then:%Y-%m-%d}"


def what_is_shown(staging: Staging, shown: int, wanted: str, sort: int) -> str:
    """Return how many users there are and which of them are shown, as a line."""
    total = len(staging.users)
    parts = [f"{total:,} user{'s' if total != 1 else ''}"]
    disabled = sum(1 for user in staging.users if user.disabled)
    if disabled:
        parts.append(f"{disabled} disabled")
    if staging.count:
        parts.append(f"{staging.count} staged")
    if wanted:
        parts.append(f"{shown:,} with “{wanted}”, Escape shows all")
    else:
        order = SORTS[sort % len(SORTS)]
        parts.append(f"s sorts, now {order if order == 'changes first' else f'by {order}'}")
        parts.append("/ finds")
    return " · ".join(parts)
