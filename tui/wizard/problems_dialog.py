"""Lists the mistakes in a file that was opened."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.errors import Problem
from moorage.escape import printable
from tui.actions import bindings
from tui.document.problems import Mistakes
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter

_FEW = 3
"""The number of mistakes that fit on a small terminal."""


class MistakesDialog(Dialog[bool]):
    """Every mistake with its line; returns whether to remove unknown keys.

    Args:
        mistakes: The mistakes.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("mistakes")
    DEFAULT_CSS = """
    MistakesDialog .mistake { height: auto; color: $text-error; }
    MistakesDialog .no-field { height: auto; margin-top: 1; }
    MistakesDialog .dialog--buttons { margin-top: 1; }
    """

    def __init__(self, mistakes: Mistakes) -> None:
        super().__init__()
        self._mistakes = mistakes
        self.set_class(len(mistakes.problems) > _FEW, "-tall")

    def compose(self) -> ComposeResult:
        lines, unknown = self._mistakes.lines, self._mistakes.unknown
        with Vertical(classes="dialog--box") as box:
            count = len(lines)
            box.border_title = f"{count} mistake{'s' if count != 1 else ''} in the answers"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(
                    "The file does not change until you save. Close goes to the first mistake.",
                    classes="dialog--text",
                )
                for line in lines:
                    yield Static(Content(printable(f"✗ {line}")), classes="mistake")
                if unknown:
                    yield Static(Content(printable(_no_field(unknown))), classes="no-field")
            with Horizontal(classes="dialog--buttons"):
                if unknown:
                    yield Button("Remove unknown keys", id="remove", compact=True)
                yield Button("Close", id="refuse", variant="primary", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the button that changes nothing."""
        self.set_focus(self.query_one("#refuse"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "remove")

    def action_refuse(self) -> None:
        """Change nothing."""
        self.dismiss(False)


def _no_field(unknown: tuple[tuple[str | int, ...], ...]) -> str:
    names = ", ".join(Problem(path, "").dotted for path in unknown)
    return (
        f"No field for {names}. Remove {'it' if len(unknown) == 1 else 'them'} from the answers "
        "here, or correct the file and open it again."
    )
