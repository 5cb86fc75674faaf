"""Users: who can log in, and when they were last here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from textual.app import ComposeResult

from moorage.deploy.deployment import Deployment
from moorage.deploy.images.activity import read_activity
from moorage.deploy.users.change import UsersRead, read_users
from moorage.deploy.users.last_seen import SeenRead, last_seen
from moorage.deploy.users.rows import UserRow, user_rows
from moorage.escape import printable
from moorage.units import age_text
from screens.dashboard.tab import Tab
from tui.messages import UsersRequested
from tui.widgets.row_table import Column, RowTable


def _seen(row: UserRow) -> str:
    return _age(row.seen.last_seen if row.seen else "")


def _pushed(row: UserRow) -> str:
    return _age(row.seen.last_push if row.seen else "")


def _age(moment: str) -> str:
    return age_text(datetime.fromisoformat(moment).timestamp() if moment else None, time.time())


_NAME = Column[UserRow]("User", lambda row: row.user.name, 0, is_name=True)
_ACCESS = Column[UserRow]("Access", lambda row: row.access, 6)
_RULES = Column[UserRow]("Repositories", lambda row: row.repositories, 0)
_SEEN = Column[UserRow]("Last seen", _seen, 11)
_PUSHED = Column[UserRow]("Last push", _pushed, 11)
_STATE = Column[UserRow]("State", lambda row: row.state, 9)


class _UserTable(RowTable[UserRow]):
    def columns(self, width: int) -> Sequence[Column[UserRow]]:
        """Return the columns."""
        return (_NAME, _ACCESS, _RULES, _SEEN, _PUSHED, _STATE)

    def name_of(self, row: UserRow) -> object:
        """Return the user's name."""
        return row.user.name

    def colour_of(self, row: UserRow) -> str:
        """Return the colour of a user who has no access."""
        return "muted" if row.state else ""


class UsersTab(Tab[tuple[UsersRead, SeenRead]]):
    """The users, those who were here last first."""

    def compose_parts(self) -> ComposeResult:
        """Yield the table."""
        yield _UserTable(id="user-table")

    def read(self, deployment: Deployment) -> tuple[UsersRead, SeenRead]:
        """Read the users and when they were last here."""
        return read_users(deployment), last_seen(read_activity(deployment))

    def show(self, found: tuple[UsersRead, SeenRead]) -> str:
        """Show the users; returns their number and what is not known."""
        read, seen = found
        rows = user_rows(read, read.users, seen.times)
        rows.sort(key=lambda row: row.user.name)
        rows.sort(key=lambda row: row.seen.last_seen if row.seen else "", reverse=True)
        self.query_one(_UserTable).show(rows)
        parts = [f"{len(rows):,} user{'s' if len(rows) != 1 else ''} by last login"]
        if count := sum(row.user.disabled for row in rows):
            parts.append(f"{count} disabled")
        unread = [error.server or "" for error in read.unreached] or list(seen.left_out)
        if unread:
            parts.append(f"! incomplete without {', '.join(map(printable, unread))}")
        return " · ".join(parts)

    @property
    def can_open(self) -> bool:
        """Whether there are users."""
        return bool(self.query_one(_UserTable).rows)

    def open_selected(self) -> None:
        """Open the Users screen."""
        self.expire()
        self.post_message(UsersRequested())
