"""A list that marks the highlighted line with a bar, because colour alone is not enough."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widgets import OptionList


class MarkedList(OptionList):
    """An option list with a bar before the highlighted option while it has the focus."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"option-list--mark"}
    DEFAULT_CSS = """
    MarkedList > .option-list--option { padding: 0 1 0 2; }
    MarkedList > .option-list--mark { color: $accent; background: $selection; }
    """

    def render_line(self, y: int) -> Strip:
        """Draw a line, with the bar in its first cell."""
        strip = super().render_line(y)
        if self.has_focus and self._is_highlighted(strip):
            mark = Segment("▌", self.get_component_rich_style("option-list--mark"))
            return Strip([mark, *strip.crop(1)], strip.cell_length)
        return strip

    def _is_highlighted(self, strip: Strip) -> bool:
        """Whether a line belongs to the highlighted option and is not a separator."""
        styles = [segment.style for segment in strip if segment.style is not None]
        return any(style.meta.get("option", -1) == self.highlighted for style in styles)
