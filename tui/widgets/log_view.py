"""A log of any length; only visible lines are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from moorage.deploy.logs.rows import Level, LogFilter
from moorage.escape import printable
from tui.actions import bindings
from tui.widgets.log_store import LogEntry, LogStore

_LONGEST_NAME = 16


class LogView(ScrollView, can_focus=True):
    """Shows a :class:`LogStore`; follows its end until you scroll up.

    Attributes:
        store: The lines and their filter.
        follows: Whether the view follows the end of the log.
    """

    DEFAULT_CSS = """
    LogView { background: $surface; padding: 0 1 0 2; overflow: auto scroll; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--routine", "log--info", "log--step", "log--warning", "log--error", "log--server",
        "log--found",
    }  # fmt: skip
    DEFAULT_CSS += """
    LogView > .log--routine { color: $text-muted; }
    LogView > .log--step { text-style: bold; }
    LogView > .log--warning { color: $text-warning; }
    LogView > .log--error { color: $text-error; }
    LogView > .log--server { color: $text-muted; }
    LogView > .log--found { text-style: reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("log_view")

    class Moved(Message):
        """The view started or stopped following the log."""

    def __init__(self, store: LogStore | None = None) -> None:
        super().__init__()
        self.store = store or LogStore()
        self.follows = True
        self._width = 0
        self._name_width = 0

    @property
    def line_count(self) -> int:
        """The number of lines shown."""
        return len(self.store)

    def add(self, entries: Sequence[LogEntry]) -> None:
        """Add lines."""
        if not entries:
            return
        gone = self.store.add(entries)
        widest = max(len(entry.text) for entry in entries)
        self._width = max(self._width, min(widest, 2000))
        longest = max(len(entry.server) for entry in entries)
        self._name_width = max(self._name_width, min(longest, _LONGEST_NAME))
        self._measure()
        if self.follows:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        elif gone:
            # Keep the visible lines where they are.
            self.scroll_to(y=max(0, self.scroll_y - gone), animate=False, immediate=True)
        self.refresh()

    def show(
        self,
        *,
        server: str | None = None,
        level: Level | None = None,
        text: str | None = None,
        rows: LogFilter | None = None,
    ) -> None:
        """Change which lines are shown; see :meth:`LogStore.show`."""
        self.store.show(server=server, level=level, text=text, rows=rows)
        self._measure()
        self.scroll_end(animate=False, immediate=True, x_axis=False)
        self.refresh()

    def _measure(self) -> None:
        prefix = 0 if self.store.server else self._name_width + 1
        self.virtual_size = Size(self._width + prefix, len(self.store))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Stop following on scrolling up, and resume at the end."""
        super().watch_scroll_y(old_value, new_value)
        follows = round(new_value) >= self.max_scroll_y
        if follows != self.follows and (follows or new_value < old_value):
            self.follows = follows
            self.post_message(self.Moved())

    def on_resize(self) -> None:
        """Keep the end in view."""
        if self.follows:
            self.scroll_end(animate=False, x_axis=False)

    def action_follow(self) -> None:
        """Follow the end of the log, or stop following."""
        self.follows = not self.follows or round(self.scroll_y) < self.max_scroll_y
        if self.follows:
            self.scroll_end(animate=False, x_axis=False)
        self.post_message(self.Moved())

    def action_home(self) -> None:
        """Go to the beginning."""
        self.scroll_home(animate=False)

    def render_line(self, y: int) -> Strip:
        """Draw one line of what is in sight."""
        left, top = self.scroll_offset
        base = self.rich_style
        width = self.scrollable_content_region.width
        place = top + y
        if place == 0 and not len(self.store) and self.store.total:
            words = self.get_component_rich_style("log--server")
            return Strip([Segment("No line here matches", words)]).crop_extend(0, width, base)
        if place >= len(self.store):
            return Strip.blank(width, base)
        entry = self.store[place]
        style = base
        if entry.level is not Level.INFO:
            style = self.get_component_rich_style(f"log--{entry.level.name.lower()}")
        segments = []
        if not self.store.server:
            name = entry.server[: self._name_width].ljust(self._name_width + 1)
            segments.append(Segment(name, self.get_component_rich_style("log--server")))
        text = entry.text
        if entry.row is not None and not left and not self.store.text:
            # Sideways, and among the lines that were found, the line is in full.
            text = printable(entry.row.fitted(width - sum(len(each.text) for each in segments)))
        segments += self._found(text, style)
        # Wide characters take two cells; the strip knows.
        cells = sum(cell_len(segment.text) for segment in segments)
        return Strip(segments, cells).crop_extend(left, left + width, base)

    def _found(self, text: str, style: Style) -> list[Segment]:
        wanted = self.store.text
        if not wanted:
            return [Segment(text, style)]
        mark = style + self.get_component_rich_style("log--found", partial=True)
        segments: list[Segment] = []
        lower = text.lower()
        begin = 0
        while (found := lower.find(wanted, begin)) >= 0 and len(lower) == len(text):
            end = found + len(wanted)
            segments += [Segment(text[begin:found], style), Segment(text[found:end], mark)]
            begin = end
        return [*segments, Segment(text[begin:], style)]
