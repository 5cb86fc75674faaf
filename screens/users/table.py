"""The table of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.deploy.users.rows import UserRow
from moorage.desired.users import RegistryUser
from moorage.rows import Action
from moorage.units import age_text
from tui.widgets.row_table import Column, RowTable

_WIDTH_OF_WHERE = 12


@dataclass(frozen=True)
class TableRow:
    """One line of the table.

    Attributes:
        row: The user with the staged changes; before them if the user is removed.
        action: The staged change; None without one.
        now: The time, which times are relative to.
    """

    row: UserRow
    action: Action | None
    now: datetime

    @property
    def user(self) -> RegistryUser:
        """The user."""
        return self.row.user

    @property
    def seen(self) -> str:
        """The time since the last login, such as 3 h ago."""
        return ago(self.row.seen.last_seen, self.now) if self.row.seen else "…"

    @property
    def pushed(self) -> str:
        """The time since the last push, such as 3 h ago."""
        return ago(self.row.seen.last_push, self.now) if self.row.seen else "…"

    @property
    def times(self) -> str:
        """The last push and login as text, the push with its exact time; empty without any."""
        seen = self.row.seen
        if seen is None:
            return ""
        parts = [_pushed(seen.last_push, self.now)] if seen.last_push else []
        parts += [f"seen {self.seen}"] if seen.last_seen else []
        return " · ".join(parts)

    @property
    def where(self) -> str:
        """The servers that have the user, as names or as a count, whichever fits."""
        where = self.row.where
        short = f"{len(self.row.servers)} of {self.row.total}"
        return where if len(where) <= _WIDTH_OF_WHERE else short

    @property
    def state(self) -> str:
        """The user's state and staged change."""
        words = [f"{self.action.sign} {self.action.participle}"] if self.action else []
        if self.row.state and (
            not words or (self.user.disabled and self.action is not Action.REMOVE)
        ):
            words.append(self.row.state)
        return ", ".join(words)


def ago(moment: str, now: datetime) -> str:
    """Return how long ago a time was, such as 3 h ago.

    Args:
        moment: ISO 8601 in UTC; empty if unknown.
        now: The time.
    """
    then = datetime.fromisoformat(moment).timestamp() if moment else None
    return age_text(then, now.timestamp())


def _pushed(moment: str, now: datetime) -> str:
    """Return the time of a push, relative while it is recent, and to the minute."""
    relative = ago(moment, now)
    exact = f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
    return f"pushed {relative}, {exact}" if relative.endswith("ago") else f"pushed {exact}"


_NAME = Column[TableRow]("User", lambda row: row.user.name, 0, is_name=True)
_ACCESS = Column[TableRow]("Access", lambda row: row.row.access, 6)
_RULES = Column[TableRow]("Repositories", lambda row: row.row.repositories, 0)
_HASH = Column[TableRow]("Hash", lambda row: row.row.hash, 7)
_SEEN = Column[TableRow]("Last seen", lambda row: row.seen, 11)
_PUSHED = Column[TableRow]("Last push", lambda row: row.pushed, 11)
_WHERE = Column[TableRow]("On", lambda row: row.where, _WIDTH_OF_WHERE)
_STATE = Column[TableRow]("State", lambda row: row.state, 19)
_NARROW = (_NAME, _ACCESS, _RULES, _SEEN, _STATE)
_WIDE = (_NAME, _ACCESS, _RULES, _HASH, _SEEN, _PUSHED, _WHERE, _STATE)
_ROOM_FOR_ALL = 108
"""Columns of the terminal from which every column is shown."""
_COLOURS = {Action.ADD: "good", Action.CHANGE: "warning", Action.REMOVE: "bad"}


class UserTable(RowTable[TableRow]):
    """The users."""

    def columns(self, width: int) -> Sequence[Column[TableRow]]:
        """Return the columns that fit."""
        return _WIDE if width >= _ROOM_FOR_ALL else _NARROW

    def name_of(self, row: TableRow) -> object:
        """Return the user's name."""
        return row.user.name

    def colour_of(self, row: TableRow) -> str:
        """Return the colour of a staged change, or of a disabled user."""
        return _COLOURS[row.action] if row.action else "muted" if row.user.disabled else ""
