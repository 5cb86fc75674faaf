"""A text that gets longer while somebody waits for it."""

from __future__ import annotations

from textual import events
from textual.widgets import Static


class GrowingText(Static):
    """A text that is kept in sight whenever it has more lines than before."""

    _lines = 0

    def on_resize(self, event: events.Resize) -> None:
        """Scroll to it, now that there is room for all of it."""
        before, self._lines = self._lines, event.size.height
        if event.size.height > before:
            self.call_after_refresh(self.scroll_visible, animate=False)
