"""A table whose rows can be added, edited and removed; Enter is left to the form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widgets import DataTable

from tui.actions import bindings
from tui.cells import cut_middle

_LEAST = 8
"""The width of a column that is cut, at least."""


class EditableTable(DataTable[Text]):
    """Rows with keys to add, edit and delete. Shows text without markup.

    Args:
        columns: The titles of the columns.
        is_ordered: Whether rows can be moved.
        options: The other arguments of a table.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("table")
    DEFAULT_CSS = """
    EditableTable { height: auto; max-height: 12; margin-bottom: 1; }
    EditableTable > .table--mark { color: $accent; background: $selection; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--mark"}

    class Edit(Message):
        """Add, edit or remove a row.

        Attributes:
            action: add, edit, delete or move.
            row: The row; -1 to add.
            step: The rows to move it by.
        """

        def __init__(self, action: str, row: int, step: int = 0) -> None:
            super().__init__()
            self.action = action
            self.row = row
            self.step = step

    class Entered(Message):
        """Enter was pressed."""

    def __init__(self, columns: Sequence[str], *, is_ordered: bool = False, **options: Any) -> None:
        super().__init__(cursor_type="row", **options)
        self._titles = columns
        self._is_ordered = is_ordered
        self._rows: Sequence[Sequence[str]] = ()
        self._clicked = False

    def on_mount(self) -> None:
        """Add the columns."""
        self.add_columns(*self._titles)

    def show_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Replace the rows; the cursor keeps its position."""
        self._rows = rows
        cursor = self.cursor_row
        self.clear(columns=True)  # or they would not become narrower
        self.add_columns(*self._titles)
        widths = self._widths()
        for row in rows:
            cells = zip(row, widths, strict=True)
            self.add_row(*(Text(cut_middle(cell, width)) for cell, width in cells))
        if rows:
            self.move_cursor(row=min(cursor, len(rows) - 1))

    def on_resize(self, _event: events.Resize) -> None:
        """Cut the cells to the new width."""
        self.show_rows(self._rows)

    def _widths(self) -> list[int]:
        """Return the widths of the columns: the widest give way until all of them fit."""
        columns = zip(self._titles, *self._rows, strict=True)
        widths = [max(map(cell_len, column)) for column in columns]
        surplus = sum(widths) + 2 * self.cell_padding * len(widths) - self.size.width
        while self.size.width and surplus > 0 and max(widths) > _LEAST:
            widths[widths.index(max(widths))] -= 1
            surplus -= 1
        return widths

    def render_line(self, y: int) -> Strip:
        """Draw a line, with a bar before the row under the cursor while the table has the focus."""
        strip = super().render_line(y)
        row = y + round(self.scroll_y) - self.header_height
        if self.has_focus and y >= self.header_height and row == self.cursor_row:
            mark = Segment("▌", self.get_component_rich_style("table--mark"))
            return Strip([mark, *strip.crop(1)], strip.cell_length)
        return strip

    def action_go_on(self) -> None:
        """Leave Enter to the form."""
        self.post_message(self.Entered())

    def action_add(self) -> None:
        """Ask for a new row."""
        self.post_message(self.Edit("add", -1))

    def action_edit(self) -> None:
        """Ask to edit the row under the cursor."""
        if self.row_count:
            self.post_message(self.Edit("edit", self.cursor_row))

    def action_delete(self) -> None:
        """Ask to remove the row under the cursor."""
        if self.row_count:
            self.post_message(self.Edit("delete", self.cursor_row))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to move rows only where their order matters."""
        return action != "move_row" or self._is_ordered

    def action_move_row(self, step: int) -> None:
        """Ask to move the row under the cursor."""
        if 0 <= self.cursor_row + step < self.row_count:
            self.post_message(self.Edit("move", self.cursor_row, step))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Edit the row under the cursor when it is clicked."""
        event.stop()
        self.action_edit()
