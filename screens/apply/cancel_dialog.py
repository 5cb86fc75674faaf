"""Asks what cancelling an apply is to mean now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from moorage.escape import printable
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter
from tui.widgets.server_row import ServerProgress

_CHECKING = (
    "The servers are done; only the checks are running. Skipping them changes nothing there."
)
_NAME_WAITS = " The DNS records are then not created; the next apply creates them."
_NAMING = (
    "The servers are done and checked. Moorage has sent the DNS records and is waiting for the "
    "name servers. Not waiting does not undo anything; 'moorage dns undo FILE' does."
)
_SETTLED = {"record", "drain"}


@dataclass(frozen=True)
class HowFar:
    """How far an apply is.

    Attributes:
        servers: How far every server is.
        is_checking: Whether the runs are over and only the checks go on.
        name_state: How far the registry's name is, as of a server; empty when it is left alone.
        made_for: The users whose passwords it makes.
    """

    servers: Sequence[ServerProgress]
    is_checking: bool = False
    name_state: str = ""
    made_for: Sequence[str] = ()


class CancelDialog(Dialog[str]):
    """Go on, leave, or stop; what that means follows the run.

    Args:
        how_far: Says how far the apply is.
    """

    def __init__(self, how_far: Callable[[], HowFar]) -> None:
        super().__init__()
        self._how_far = how_far

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Cancel"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(classes="dialog--text", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Continue", id="back", variant="primary", compact=True)
                yield Button("Skip the checks", id="skip", compact=True)
                yield Button("Leave", id="leave", compact=True)
                yield Button("Stop and roll back", id="stop", variant="error", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Keep up with the run."""
        self._show()
        self.set_interval(0.5, self._show)

    def _show(self) -> None:
        now = self._how_far()
        is_naming = now.name_state == "running"
        text = what_it_means(now)
        if is_naming:
            text = _NAMING
        elif now.is_checking:
            text = _CHECKING + (_NAME_WAITS if now.name_state == "waiting" else "")
        self.query_one(".dialog--text", Static).update(text)
        self.query_one("#skip", Button).label = "Do not wait" if is_naming else "Skip the checks"
        for button in self.query(Button):
            button.display = button.id == "back" or (button.id == "skip") == now.is_checking
        if self.focused is not None and not self.focused.display:
            self.set_focus(self.query_one("#back"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "back")

    def action_refuse(self) -> None:
        """Go on."""
        self.dismiss("back")


def what_it_means(now: HowFar) -> str:
    """Return what stopping and what leaving would do as things are now."""
    lines = [
        "Stop: every run stops before its next step and rolls back. Servers that have finished "
        "keep the change. Right now:"
    ]
    for server in now.servers:
        lines.append(f"  {printable(server.name)}: {_fate(server)}")
    lines.append("")
    leave = "Leave: the runs continue on the servers. Open these answers again to see them."
    if now.made_for:
        plural = "s" if len(now.made_for) > 1 else ""
        leave += (
            f" Moorage then cannot show the password{plural} of "
            f"{printable(', '.join(now.made_for))}; set {'new ones' if plural else 'a new one'} "
            "in Users."
        )
    lines.append(leave)
    return "\n".join(lines)


def _fate(server: ServerProgress) -> str:
    if server.state == "waiting":
        return "has not started; nothing will change"
    if server.state in {"done", "unchanged"}:
        return "has finished, and keeps the change"
    if server.state == "bad":
        return "has already ended"
    if server.step == "rollback":
        return "is rolling back"
    if server.step in _SETTLED:
        return "has switched, and keeps the change"
    return f"rolls back ({server.words.lower()})"
