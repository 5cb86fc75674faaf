"""The field above a table that shows only the rows with a text; hidden until it is needed."""

from __future__ import annotations

import asyncio
import contextlib

from tui.widgets.field import Field


class FindField(Field):
    """A field for a text to find; the screen shows what matches while it is typed.

    Args:
        placeholder: Examples of what can be found.
    """

    DEFAULT_CSS = """
    FindField { display: none; margin: 0 2; }
    FindField.-shown { display: block; }
    """

    def __init__(self, placeholder: str) -> None:
        super().__init__("Find", id="find", placeholder=placeholder)

    @property
    def is_open(self) -> bool:
        """Whether it is shown."""
        return self.has_class("-shown")

    @property
    def is_typed_in(self) -> bool:
        """Whether it has the focus."""
        # Not has_focus, which changes only after the widget has handled its event.
        return self.screen.focused is self.input

    def open(self) -> None:
        """Show it, and move there."""
        self.add_class("-shown")
        self.focus()

    def close(self) -> None:
        """Hide and empty it."""
        self.remove_class("-shown")
        self.value = ""

    async def text(self) -> str:
        """Return its text, once everything that was typed is in it.

        Otherwise, a key typed ahead would act on a row that was selected before.
        """
        is_typed = asyncio.Event()
        self.input.call_later(is_typed.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(is_typed.wait(), 1)
        return self.value
