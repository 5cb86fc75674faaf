"""The servers with their state: a column, or one line where there is no room for one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.widgets import Static

from moorage.escape import printable
from moorage.rows import Level, Row
from tui.cells import cut_middle
from tui.signs import COLOURS

_LONGEST = 24
"""Cells of a name that are shown."""
_ORDER = (Level.BAD, Level.WARNING, Level.PENDING)


class ServerList(Static):
    """The servers of a deployment; hidden if there is only one."""

    DEFAULT_CSS = """
    ServerList { height: auto; max-height: 100%; padding: 0 2; display: none; }
    ServerList.-several { display: block; }
    """

    def __init__(self) -> None:
        super().__init__("", id="server-list", markup=False)
        self._rows: Sequence[Row] = ()

    def show(self, rows: Sequence[Row]) -> None:
        """Show a row for each server, those with problems first."""
        places = {level: place for place, level in enumerate(_ORDER)}
        self._rows = sorted(rows, key=lambda row: places.get(row.level, len(places)))
        self.set_class(len(rows) > 1, "-several")
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Draw as many as fit now."""
        self._draw()

    def _draw(self) -> None:
        if self.screen.has_class("-wide"):
            self.update(Content("\n\n").join(map(_two_lines, self._rows)))
        else:
            self.update(_one_line(self._rows, self.app.size.width - 4))


def _name(row: Row) -> Content:
    name = cut_middle(printable(row.label), _LONGEST)
    return Content.styled(f"{row.sign} ", COLOURS[row.level]) + Content.styled(name, "bold")


def _two_lines(row: Row) -> Content:
    return _name(row) + Content.styled(f"\n  {printable(row.text)}", "$text-muted")


def _one_line(rows: Sequence[Row], width: int) -> Content:
    """Return the names in one line, and how many more there are."""
    shown: list[Content] = []
    used = 0
    for number, row in enumerate(rows):
        name = _name(row)
        rest = len(rows) - number
        room = width - (len(f"  +{rest} more") if rest > 1 else 0)
        if used + cell_len(name.plain) > room:
            shown.append(Content.styled(f"+{rest} more", "$text-muted"))
            break
        shown.append(name)
        used += cell_len(name.plain) + 2
    return Content("  ").join(shown)
