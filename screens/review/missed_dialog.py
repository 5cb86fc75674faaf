"""Shows what others have changed since the answers were written, and offers to take it over."""

from __future__ import annotations

from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.deploy.plan.plan import Plan
from moorage.deploy.record.merge import CaughtUp
from moorage.escape import printable
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter

Choice = Literal["take", "keep"]


class MissedDialog(Dialog[Choice]):
    """Take the changes over, or keep the answers; Escape decides nothing.

    Args:
        plan: The plan, which lists the changes since the answers' revision.
        caught: The result of taking the changes over.
    """

    def __init__(self, plan: Plan, caught: CaughtUp) -> None:
        super().__init__()
        self._plan = plan
        self._caught = caught

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Changed meanwhile"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(self._text(), classes="dialog--text")
            with Horizontal(classes="dialog--buttons"):
                yield Button("Keep my answers", id="keep", compact=True)
                yield Button("Take over", id="take", variant="primary", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the button that undoes no one else's work."""
        self.set_focus(self.query_one("#take"))

    def _text(self) -> Content:
        caught = self._caught
        lines = [
            Content(
                f"The deployment has changed since revision {self._plan.based_on}, on which these "
                "answers are based:"
            ),
            *(Content.styled(printable(str(each)), "bold") for each in self._plan.missed),
            Content(""),
            Content(f"Can be taken over: {printable(', '.join((*caught.users, *caught.places)))}"),
        ]
        if caught.left:
            lines.append(Content(f"Change yourself: {printable(', '.join(caught.left))}"))
        lines.append(Content("If you keep your answers, an apply undoes these changes."))
        return Content("\n").join(lines)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss("take" if event.button.id == "take" else "keep")
