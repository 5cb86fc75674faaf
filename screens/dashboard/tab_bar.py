"""The tabs of the dashboard, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TabBar(Widget):
    """Tabs by number and name; a click selects one.

    Args:
        names: Their names.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = "TabBar { height: 1; padding: 0 1; text-wrap: nowrap; }"
    current: reactive[int] = reactive(0)

    class Selected(Message):
        """A tab was clicked.

        Attributes:
            place: Its place, from 0.
        """

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def render(self) -> Content:
        """Draw the tabs; the current one is between bars, not only in another colour."""
        return Content("").join(
            Content.styled(f"▌{number} {name}▐", "bold $text-accent")
            if number == self.current + 1
            else Content.styled(f" {number} ", "$foreground")
            + Content.styled(f"{name} ", "$text-muted")
            for number, name in enumerate(self._names, start=1)
        )

    def on_click(self, event: events.Click) -> None:
        """Select the tab under the mouse."""
        offset = event.get_content_offset(self)
        end = 0
        for place, name in enumerate(self._names):
            start, end = end, end + len(name) + 4
            if offset is not None and start <= offset.x < end:
                self.post_message(self.Selected(place))
