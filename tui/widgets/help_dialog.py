"""Help for a screen: a few lines, an example, and its keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from tui.actions import AREAS, Action, bindings, key_lines
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter


class HelpDialog(Dialog[None]):
    """Help for one step, screen or dialog.

    Args:
        title: The step, screen or dialog.
        text: The help; may be empty.
        actions: The screen's actions.
        example: An example; may be empty.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("help")
    DEFAULT_CSS = """
    HelpDialog .help--example {
        height: auto; background: $panel; padding: 0 1; margin-bottom: 1; text-wrap: nowrap;
    }
    HelpDialog .help--keys { height: auto; color: $text-muted; margin-bottom: 1; }
    """

    def __init__(self, title: str, text: str, actions: Iterable[Action], example: str = "") -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._example = example
        self._keys = key_lines([*actions, *AREAS["same_keys"].actions])
        self.add_class("-tall")  # the keys do not fit on a small terminal

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = self._title
            with VerticalScroll(classes="dialog--body", can_focus=False):
                if self._text:
                    yield Static(self._text, classes="dialog--text", markup=False)
                if self._example:
                    yield Static(self._example, classes="help--example", markup=False)
                if self._keys:
                    yield Static(self._keys, classes="help--keys", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Close", id="refuse", variant="primary", compact=True)
        yield KeyFooter()

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss(None)
