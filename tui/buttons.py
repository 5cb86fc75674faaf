"""Left and right lead along a row of buttons."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Button

from tui.typeahead import OrderlyApp


class ButtonRowsApp(OrderlyApp):
    """Moves the focus between buttons that stand beside each other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # In front of a dialog, which keys of the application do not reach otherwise.
        Binding("left", "app.beside(-1)", show=False, priority=True),
        Binding("right", "app.beside(1)", show=False, priority=True),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The arrows are for whatever has the focus, unless that is a button in a row."""
        return len(self._row()) > 1 if action == "beside" else True

    def action_beside(self, step: int) -> None:
        """Move to the button beside, or stay at the end of the row."""
        row = self._row()
        place = next(i for i, each in enumerate(row) if each is self.focused) + step
        row[min(max(place, 0), len(row) - 1)].focus()

    def _row(self) -> list[Button]:
        """The buttons of the row that has the focus."""
        focused = self.focused
        if not isinstance(focused, Button) or focused.parent is None:
            return []
        beside = focused.parent.children
        buttons = [each for each in beside if isinstance(each, Button)]
        return [each for each in buttons if each.display and each.focusable]
