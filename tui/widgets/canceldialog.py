"""Asks what cancelling an apply is to mean now."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Footer, Static

from moorage.deploy.visible import visible
from tui.widgets.dialog import Dialog
from tui.widgets.serverrow import ServerProgress

_CHECKING = (
    "The servers are done; only the checks go on. Leaving them out changes nothing on the servers."
)
_NAME_WAITS = " The DNS records are not made then; another apply makes them."
_NAMING = (
    "The servers are done and checked; the DNS records are made, and the name servers are waited "
    "for. Not waiting takes nothing back: 'moorage dns undo FILE' does."
)
_SETTLED = {"record", "drain"}


class CancelDialog(Dialog[str]):
    """Go on, leave, or stop.

    Args:
        servers: How far every server is.
        is_checking: Whether the runs are over and only the checks go on.
        name_state: How far the registry's name is, as of a server; empty when it is left alone.
    """

    def __init__(
        self, servers: Sequence[ServerProgress], *, is_checking: bool, name_state: str = ""
    ) -> None:
        super().__init__()
        self._servers = servers
        self._is_checking = is_checking
        self._name_state = name_state

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Cancel"
            is_naming = self._name_state == "running"
            text = what_it_means(self._servers)
            if is_naming:
                text = _NAMING
            elif self._is_checking:
                text = _CHECKING + (_NAME_WAITS if self._name_state == "waiting" else "")
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(text, classes="dialog--text", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Go on", id="back", variant="primary", compact=True)
                if self._is_checking:
                    label = "Do not wait" if is_naming else "Leave the checks out"
                    yield Button(label, id="skip", compact=True)
                else:
                    yield Button("Leave", id="leave", compact=True)
                    yield Button("Stop and roll back", id="stop", variant="error", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "back")

    def action_refuse(self) -> None:
        """Go on."""
        self.dismiss("back")


def what_it_means(servers: Sequence[ServerProgress]) -> str:
    """Return what stopping and what leaving would do to every server as it is now."""
    lines = [
        "Stop: every run stops before its next step and rolls back; servers that are done stay "
        "done. Now that means:"
    ]
    for server in servers:
        lines.append(f"  {visible(server.name)}: {_fate(server)}")
    lines.append("")
    lines.append(
        "Leave: the runs go on by themselves on the servers. Opening these answers again shows "
        "them."
    )
    return "\n".join(lines)


def _fate(server: ServerProgress) -> str:
    if server.state == "waiting":
        return "has not begun; nothing is changed"
    if server.state in {"done", "unchanged"}:
        return "is done, and stays so"
    if server.state == "bad":
        return "has ended already"
    if server.step in _SETTLED:
        return "has switched and recorded it; it stays done"
    return f"rolls back ({server.words.lower()})"
