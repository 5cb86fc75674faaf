"""A text that gets longer while somebody waits for it."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widgets import Static


class GrowingText(Static):
    """A text that is kept in sight while it grows."""

    _is_kept_in_sight = False

    def tell(self, content: Content, *, is_kept_in_sight: bool = True) -> None:
        """Show something else.

        Args:
            content: What to show.
            is_kept_in_sight: Whether to scroll to it, now and when it turns out to need more lines.
        """
        self._is_kept_in_sight = is_kept_in_sight
        self.update(content)
        if is_kept_in_sight:
            self.call_after_refresh(self.scroll_visible, animate=False)

    def on_resize(self, _event: events.Resize) -> None:
        """Scroll to it, now that there is room for all of it."""
        if self._is_kept_in_sight:
            self.call_after_refresh(self.scroll_visible, animate=False)
