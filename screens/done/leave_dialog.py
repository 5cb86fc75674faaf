"""Asks whether to save before leaving, and shows what leaving would lose."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter


class LeaveDialog(Dialog[str]):
    """Stay, leave without saving, or save; returns ``stay``, ``leave`` or ``save``.

    Args:
        paragraphs: The text.
    """

    def __init__(self, paragraphs: Sequence[str]) -> None:
        super().__init__()
        self._paragraphs = paragraphs

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Leave"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                for each in self._paragraphs:
                    yield Static(each, classes="dialog--text", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Stay", id="stay", compact=True)
                yield Button("Leave without saving", id="leave", compact=True)
                yield Button("Save", id="save", variant="primary", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the button that loses nothing."""
        self.set_focus(self.query_one("#save"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "stay")

    def action_refuse(self) -> None:
        """Stay."""
        self.dismiss("stay")
