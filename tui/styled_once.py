"""Screens that are styled once when they open."""

from __future__ import annotations

from typing import TypeVar

from textual import events, on
from textual.screen import Screen

Result = TypeVar("Result")


class StyledOnce(Screen[Result]):
    """A screen whose widgets get their styles as they are composed, and not twice more.

    Textual styles all of them again when a screen is first shown, and again when it gets the
    classes of the terminal's size.
    """

    @on(events.Compose)
    def _set_size_classes(self) -> None:
        """Set the classes of the terminal's size before there are widgets."""
        app = self.app
        for own, usual, size in (
            (self.HORIZONTAL_BREAKPOINTS, app.HORIZONTAL_BREAKPOINTS, app.size.width),
            (self.VERTICAL_BREAKPOINTS, app.VERTICAL_BREAKPOINTS, app.size.height),
        ):
            fitting = [each for each in (usual if own is None else own) or () if each[0] <= size]
            if fitting:
                self.add_class(max(fitting)[1])

    @on(events.ScreenResume)
    def _keep_styles(self, event: events.ScreenResume) -> None:
        event.refresh_styles = False
