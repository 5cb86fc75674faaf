"""The table of users. Draws only the visible lines, so 10,000 users are as fast as ten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from moorage.deploy.users_rows import UserRow
from moorage.desired.users import RegistryUser
from moorage.escape import printable
from moorage.rows import Action
from tui.actions import bindings

"""The signs of staged changes, and what they mean."""
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


def _pushed(moment: str, now: datetime) -> str:
    """Return the time of a push, relative while it is recent, and to the minute."""
    relative = ago(moment, now)
    exact = f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
    return f"pushed {relative}, {exact}" if relative.endswith("ago") else f"pushed {exact}"


@dataclass(frozen=True)
class Column:
    """A column: its title, the text of a row, and its width; 0 shares the remaining space."""

    title: str
    text: Callable[[TableRow], str]
    width: int


_NAME = Column("User", lambda row: row.user.name, 0)
_ACCESS = Column("Access", lambda row: row.row.access, 6)
_RULES = Column("Repositories", lambda row: row.row.repositories, 0)
_HASH = Column("Hash", lambda row: row.row.hash, 7)
_SEEN = Column("Last seen", lambda row: row.seen, 11)
_PUSHED = Column("Last push", lambda row: row.pushed, 11)
_WHERE = Column("On", lambda row: row.where, _WIDTH_OF_WHERE)
_STATE = Column("State", lambda row: row.state, 19)
_NARROW = (_NAME, _ACCESS, _RULES, _SEEN, _STATE)
_WIDE = (_NAME, _ACCESS, _RULES, _HASH, _SEEN, _PUSHED, _WHERE, _STATE)
_MARK_WIDTH = 2
_ROOM_FOR_ALL = 108
"""Columns of the terminal from which every column is shown."""


class UserTable(ScrollView, can_focus=True):
    """Users with a cursor; the first line is the titles."""

    DEFAULT_CSS = """
    UserTable { height: 1fr; background: $background; overflow: hidden auto;
                padding: 0 1 0 0; }
    UserTable > .users--title { color: $text-muted; background: $background; }
    UserTable > .users--cursor { background: $panel; color: $foreground; }
    UserTable > .users--cursor-focused {
        background: $selection; color: $foreground; text-style: bold;
    }
    UserTable > .users--mark { color: $accent; }
    UserTable > .users--added { color: $text-success; }
    UserTable > .users--changed { color: $text-warning; }
    UserTable > .users--removed { color: $text-error; }
    UserTable > .users--disabled { color: $text-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "users--title", "users--cursor", "users--cursor-focused", "users--mark", "users--added",
        "users--changed", "users--removed", "users--disabled",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = bindings("users_table")
    cursor: reactive[int] = reactive(0, repaint=True)

    class Moved(Message):
        """Another user is under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[TableRow] = ()

    @property
    def row(self) -> TableRow | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return len(self._rows)

    def show(self, rows: Sequence[TableRow], name: str = "") -> None:
        """Replace the rows.

        Args:
            rows: The rows.
            name: The user to move the cursor to; empty keeps it on the same user.
        """
        here = name or (self.row.user.name if self.row else "")
        self._rows = rows
        self.virtual_size = Size(0, len(rows) + 1)
        place = next((i for i, row in enumerate(rows) if row.user.name == here), None)
        self.cursor = place if place is not None else max(0, min(self.cursor, len(rows) - 1))
        self._keep_in_sight()
        self.refresh()
        self.post_message(self.Moved())

    def watch_cursor(self) -> None:
        """Scroll to the cursor and announce the move."""
        self._keep_in_sight()
        self.post_message(self.Moved())

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(len(self._rows) - 1, self.cursor + step))

    def action_page(self, step: int) -> None:
        """Move by a page."""
        self.action_move(step * max(1, self._in_sight - 1))

    def action_end(self, step: int) -> None:
        """Move to the first or the last row."""
        self.action_move(step * len(self._rows))

    @property
    def _in_sight(self) -> int:
        return max(1, self.scrollable_content_region.height - 1)

    def _keep_in_sight(self) -> None:
        top = round(self.scroll_y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + self._in_sight:
            self.scroll_to(y=self.cursor - self._in_sight + 1, animate=False, immediate=True)

    def on_resize(self, _event: events.Resize) -> None:
        """Keep the cursor in sight."""
        self._keep_in_sight()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row that was clicked."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y > 0:
            place = round(self.scroll_y) + offset.y - 1
            if place < len(self._rows):
                self.cursor = place

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        width = self.scrollable_content_region.width - _MARK_WIDTH
        columns = self._columns(width)
        if y == 0:
            style = self.get_component_rich_style("users--title")
            titles = self._strip([column.title for column, _ in columns], columns, style, width)
            return self._with_mark(titles, style, is_marked=False)
        place = round(self.scroll_y) + y - 1
        if place >= len(self._rows):
            return Strip.blank(width + _MARK_WIDTH, self.rich_style)
        row, is_here = self._rows[place], place == self.cursor
        style = self._style(row, is_here=is_here)
        texts = self._strip([column.text(row) for column, _ in columns], columns, style, width)
        return self._with_mark(texts, style, is_marked=is_here and self.has_focus)

    def _with_mark(self, strip: Strip, style: Style, *, is_marked: bool) -> Strip:
        """Return a line after a margin, with a bar in it on the row under the cursor."""
        margin = "▌" if is_marked else " "
        if is_marked:
            style += self.get_component_rich_style("users--mark", partial=True)
        return Strip([Segment(margin.ljust(_MARK_WIDTH), style), *strip])

    def _style(self, row: TableRow, *, is_here: bool) -> Style:
        style = self.rich_style
        kind = row.action.participle if row.action else ("disabled" if row.user.disabled else "")
        if is_here:
            name = "users--cursor-focused" if self.has_focus else "users--cursor"
            style = self.get_component_rich_style(name)
        if kind:
            own = self.get_component_rich_style(f"users--{kind}", partial=True)
            style += Style(color=own.color)
        return style

    def _columns(self, width: int) -> list[tuple[Column, int]]:
        chosen = _WIDE if width >= _ROOM_FOR_ALL else _NARROW
        left = width - sum(column.width for column in chosen) - 2 * (len(chosen) - 1)
        shared = sum(1 for column in chosen if not column.width)
        widths = [(column, column.width or max(8, left // shared)) for column in chosen]
        over = left - sum(width for column, width in widths if not column.width)
        place = next(i for i, (column, _) in enumerate(widths) if column is _RULES)
        widths[place] = (_RULES, max(8, widths[place][1] + over))
        return widths

    @staticmethod
    def _strip(
        texts: Sequence[str], columns: Sequence[tuple[Column, int]], style: Style, width: int
    ) -> Strip:
        cells = [
            _fitted(printable(text), room) for text, (_, room) in zip(texts, columns, strict=True)
        ]
        line = set_cell_size("  ".join(cells), width)
        return Strip([Segment(line, style)], width)


def _fitted(text: str, width: int) -> str:
    """Return a text padded or cut to a width in cells, with an ellipsis where it is cut."""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, width)
