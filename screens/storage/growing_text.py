"""A text that grows line by line, such as the results of a test."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widgets import Static


class GrowingText(Static):
    """Text that can stay in view while it grows."""

    _stays_in_view = False

    def replace(self, content: Content, *, stays_in_view: bool = True) -> None:
        """Replace the text.

        Args:
            content: The new text.
            stays_in_view: Whether to scroll to it, now and when it wraps to more lines.
        """
        self._stays_in_view = stays_in_view
        self.update(content)
        if stays_in_view:
            self.call_after_refresh(self.scroll_visible, animate=False)

    def on_resize(self, _event: events.Resize) -> None:
        """Scroll to it, now that its height is known."""
        if self._stays_in_view:
            self.call_after_refresh(self.scroll_visible, animate=False)
