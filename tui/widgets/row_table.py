"""A table with a cursor that draws only its visible lines, so 20,000 rows are as fast as ten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

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

from moorage.escape import one_line
from tui.actions import bindings
from tui.age import TICK
from tui.cells import cut_end, cut_middle

Row = TypeVar("Row")

_MARK_WIDTH = 2
_LEAST = 8
"""The width of a column that shares the remaining space, at least."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column.

    Attributes:
        title: Its title.
        text: Returns the text of a row.
        width: Its width in cells; 0 shares the remaining space.
        is_figure: Whether it is aligned to the right.
        is_name: Whether it has names, which are cut in the middle.
    """

    title: str
    text: Callable[[Row], str]
    width: int
    is_figure: bool = False
    is_name: bool = False


class RowTable(ScrollView, Generic[Row], can_focus=True):
    """Rows with a cursor; the first line is the titles."""

    DEFAULT_CSS = """
    RowTable { height: 1fr; background: $background; overflow: hidden auto; padding: 0 1 0 0; }
    RowTable > .row-table--title { color: $text-muted; background: $background; }
    RowTable > .row-table--cursor { background: $panel; color: $foreground; }
    RowTable > .row-table--cursor-focused {
        background: $selection; color: $foreground; text-style: bold;
    }
    RowTable > .row-table--mark { color: $accent; }
    RowTable > .row-table--good { color: $text-success; }
    RowTable > .row-table--warning { color: $text-warning; }
    RowTable > .row-table--bad { color: $text-error; }
    RowTable > .row-table--muted { color: $text-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row-table--title", "row-table--row", "row-table--cursor", "row-table--cursor-focused",
        "row-table--mark", "row-table--good", "row-table--warning", "row-table--bad",
        "row-table--muted",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = bindings("row_table")
    cursor: reactive[int] = reactive(0, repaint=False)

    class Moved(Message):
        """Another row is under the cursor, or other rows are shown."""

        def __init__(self, table: RowTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> RowTable[Any]:
            """The table."""
            return self.table

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 # Textual's name for it
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()

    def on_mount(self) -> None:
        """Keep the ages in the rows current: columns compute them when they are drawn."""
        self.set_interval(TICK, self.refresh)

    # --- to be defined --------------------------------------------------------------------

    def columns(self, width: int) -> Sequence[Column[Row]]:
        """Return the columns to show.

        Args:
            width: The space for them in cells.
        """
        raise NotImplementedError

    def name_of(self, row: Row) -> object:
        """Return what a row is about: the cursor stays on it when the rows are replaced."""
        raise NotImplementedError

    def colour_of(self, row: Row) -> str:
        """Return good, warning, bad or muted; empty for the usual colour."""
        return ""

    def sign_of(self, row: Row) -> str:
        """Return a character for the margin before a row; a space for none."""
        return " "

    # --- rows and cursor ------------------------------------------------------------------

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def show(self, rows: Sequence[Row], name: object = None) -> None:
        """Replace the rows.

        Args:
            rows: The rows.
            name: What the row is about to move the cursor to; None keeps it on the same.
        """
        here = name or (self.name_of(self.row) if self.row is not None else None)
        self.rows = rows
        self.virtual_size = Size(0, len(rows) + 1)
        place = next((i for i, row in enumerate(rows) if self.name_of(row) == here), None)
        # Not announced by its watcher as well.
        self.set_reactive(
            RowTable.cursor,
            place if place is not None else max(0, min(self.cursor, len(rows) - 1)),
        )
        self._keep_in_sight()
        self.refresh()
        self.post_message(self.Moved(self))

    def watch_cursor(self, before: int, now: int) -> None:
        """Scroll to the cursor and announce the move."""
        self._keep_in_sight()
        for place in (before, now):
            if 0 <= place - round(self.scroll_y) < self._in_sight:
                self.refresh_line(place + 1)
        self.post_message(self.Moved(self))

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(len(self.rows) - 1, self.cursor + step))

    def action_page(self, step: int) -> None:
        """Move by a page."""
        self.action_move(step * max(1, self._in_sight - 1))

    def action_end(self, step: int) -> None:
        """Move to the first or the last row."""
        self.action_move(step * len(self.rows))

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
            if place < len(self.rows):
                self.cursor = place

    # --- drawing --------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        width = self.scrollable_content_region.width - _MARK_WIDTH
        columns = self._sized(width)
        if y == 0:
            style = self.get_component_rich_style("row-table--title")
            titles = _strip([column.title for column, _ in columns], columns, style, width)
            return self._with_margin(titles, style, " ", is_here=False)
        place = round(self.scroll_y) + y - 1
        if place >= len(self.rows):
            style = self.get_component_rich_style("row-table--row")
            return Strip.blank(width + _MARK_WIDTH, style)
        row, is_here = self.rows[place], place == self.cursor
        style = self._style(row, is_here=is_here)
        texts = _strip([column.text(row) for column, _ in columns], columns, style, width)
        sign = self.sign_of(row)
        return self._with_margin(texts, style, sign, is_here=is_here and self.has_focus)

    def _with_margin(self, strip: Strip, style: Style, sign: str, *, is_here: bool) -> Strip:
        """Return a line after a margin: a bar on the row under the cursor, and the row's sign."""
        mark = style + self.get_component_rich_style("row-table--mark", partial=True)
        bar = Segment("▌", mark) if is_here else Segment(" ", style)
        # The sign has the colour of a row that has its own, such as one that is removed.
        return Strip([bar, Segment(sign, style if sign == "-" else mark), *strip])

    def _style(self, row: Row, *, is_here: bool) -> Style:
        name = "row-table--row"
        if is_here:
            name = "row-table--cursor-focused" if self.has_focus else "row-table--cursor"
        style = self.get_component_rich_style(name)
        if colour := self.colour_of(row):
            own = self.get_component_rich_style(f"row-table--{colour}", partial=True)
            style += Style(color=own.color)
        return style

    def _sized(self, width: int) -> list[tuple[Column[Row], int]]:
        """Return the columns and their widths; the last that shares the space takes the rest."""
        chosen = self.columns(width)
        left = width - sum(column.width for column in chosen) - 2 * (len(chosen) - 1)
        sharing = [column for column in chosen if not column.width]
        each = left // len(sharing) if sharing else 0
        widths = {id(column): max(_LEAST, each) for column in sharing}
        if sharing:
            widths[id(sharing[-1])] = max(_LEAST, left - each * (len(sharing) - 1))
        return [(column, column.width or widths[id(column)]) for column in chosen]


def _strip(
    texts: Sequence[str], columns: Sequence[tuple[Column[Row], int]], style: Style, width: int
) -> Strip:
    cells = [
        _fitted(one_line(text), room, column)
        for text, (column, room) in zip(texts, columns, strict=True)
    ]
    line = set_cell_size("  ".join(cells), width)
    return Strip([Segment(line, style)], width)


def _fitted(text: str, width: int, column: Column[Row]) -> str:
    """Return a text padded or cut to a width in cells, with an ellipsis where it is cut."""
    if (space := width - cell_len(text)) < 0:
        text = cut_middle(text, width) if column.is_name else cut_end(text, width)
        space = width - cell_len(text)
    return " " * space + text if column.is_figure else text + " " * space
