"""The texts of the users screen: a line per server, a row per user. No I/O but the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from textual.content import Content

from moorage.deploy.events import Event, StepBegan
from moorage.deploy.users.change import UsersRead
from moorage.deploy.users.last_seen import Seen
from moorage.deploy.users.rows import server_rows, user_rows
from moorage.errors import MoorageError, ServersFailed
from moorage.escape import printable
from moorage.rows import Action, Level
from moorage.users.describe import rights
from screens.users.staging import Staging
from screens.users.table import TableRow
from tui.labels import explain
from tui.signs import error_line, row_line

SORTS = ("name", "last seen", "last push", "changes first")
_TIMES: Mapping[str, Callable[[Seen], str]] = {
    "last seen": lambda seen: seen.last_seen,
    "last push": lambda seen: seen.last_push,
}
"""The orders by a time."""
_FEW = 4
"""Servers that are up to date and get a line each; more share one."""


class Reading:
    """The progress of reading the servers.

    Args:
        servers: Their labels.
    """

    def __init__(self, servers: Sequence[str]) -> None:
        self._steps = dict.fromkeys(servers, "connecting")
        self._began = time.monotonic()
        self.is_running = True
        self.error: MoorageError | None = None

    def take(self, event: Event) -> None:
        """Record an event."""
        if isinstance(event, StepBegan):
            names = {"connect": "connecting", "probe": "reading"}
            self._steps[event.server] = names.get(event.step, event.step)

    def end(self, error: MoorageError | None) -> None:
        """Record the end."""
        self.is_running = False
        self.error = error

    def lines(self) -> Content:
        """Return a line for every server, or one line for all of many."""
        seconds = int(time.monotonic() - self._began)
        clock = f" {seconds} s" if seconds else ""
        if len(self._steps) > _FEW:
            names = ", ".join(printable(name) for name in self._steps)
            return Content.styled("… ", "$accent") + Content(f"Reading {names}{clock}")
        width = max(len(name) for name in self._steps)
        return Content("\n").join(
            Content.styled("… ", "$accent")
            + Content.styled(f"{printable(name):<{width}}", "bold")
            + Content.styled(f"  {step}{clock}", "$text-muted")
            for name, step in self._steps.items()
        )

    def error_lines(self) -> Content:
        """Return why the users could not be read."""
        error = self.error
        errors = error.errors if isinstance(error, ServersFailed) else (error,)
        again = Content.styled("Ctrl+R: try again. Escape: back.", "$text-muted")
        lines = [error_line(each) for each in errors if each is not None]
        return Content("\n").join([*lines, again])


def server_lines(read: UsersRead | None, unseen: Sequence[str] = ()) -> Content:
    """Return the status of every server; many that are up to date share a line.

    Args:
        read: The users as they were read.
        unseen: The servers whose logs could not be read.
    """
    if read is None:
        return Content("")
    rows = server_rows(read, explain)
    good = [row for row in rows if row.level is Level.GOOD]
    lines = []
    if len(good) > _FEW:
        names = ", ".join(row.label for row in good)
        lines.append(
            Content.styled("✓ ", "$text-success")
            + Content.styled(f"{len(good)} servers up to date", "bold")
            + Content.styled(f"  {printable(names)}", "$text-muted")
        )
        rows = [row for row in rows if row not in good]
    width = max((len(printable(row.label)) for row in rows), default=0)
    lines += [row_line(row, width) for row in rows]
    if unseen:
        text = f"Last seen is incomplete: cannot read the logs of {', '.join(unseen)}"
        lines.append(Content.styled(f"! {printable(text)}", "$text-warning"))
    return Content("\n").join(lines)


def rows_of(
    staging: Staging,
    read: UsersRead | None,
    seen: Mapping[str, Seen] | None,
    text: str,
    sort: int,
) -> list[TableRow]:
    """Return the table's rows: the users, and those about to be removed.

    Args:
        staging: The current users and the staged changes.
        read: The users as they were read.
        seen: The users' last logins and pushes; None while the logs are being read.
        text: The text a row must contain, in lower case; empty for all rows.
        sort: An index into :data:`SORTS`, modulo its length.
    """
    actions = {each.name: each.action for each in staging.differences}
    gone = {name for name, action in actions.items() if action is Action.REMOVE}
    users = [*staging.users, *(user for user in staging.base if user.name in gone)]
    now = datetime.now(UTC)
    rows = []
    for each in user_rows(read, users, seen):
        row = TableRow(each, actions.get(each.user.name), now)
        if text in f"{each.user.name} {rights(each.user)} {row.state}".lower():
            rows.append(row)
    rows.sort(key=lambda row: (row.user.name.lower(), row.user.name))
    order = SORTS[sort % len(SORTS)]
    if order in _TIMES:
        # Latest first; reverse keeps the order of names, and an empty time is the earliest.
        time_of, known = _TIMES[order], seen or {}
        rows.sort(key=lambda row: time_of(known.get(row.user.name, Seen())), reverse=True)
    elif order == "changes first":
        rows.sort(key=lambda row: not row.action)
    return rows


def table_title(staging: Staging, shown: int, text: str, sort: int) -> str:
    """Return the number of users and which of them the table shows, as a line."""
    total = len(staging.users)
    parts = [f"{total:,} user{'s' if total != 1 else ''}"]
    disabled = sum(1 for user in staging.users if user.disabled)
    if disabled:
        parts.append(f"{disabled} disabled")
    if staging.count:
        parts.append(f"{staging.count} staged")
    if text:
        parts.append(f"{shown:,} with “{text}” (Escape: all)")
    else:
        order = SORTS[sort % len(SORTS)]
        parts.append(f"{order if order == 'changes first' else f'by {order}'} (s: sort, /: find)")
    return " · ".join(parts)
