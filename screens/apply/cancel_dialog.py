"""Asks how to cancel an apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from moorage.escape import printable
from tui.widgets.button import relabel
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter
from tui.widgets.server_row import ServerProgress

_OVER = "The apply has ended; there is nothing left to cancel."
_CHECKING = (
    "The servers are done; only the checks are running. Skipping them changes nothing there."
)
_DNS_LATER = " The DNS records are then not created; the next apply creates them."
_DNS = (
    "The servers are done and checked. Moorage has sent the DNS records and is waiting for the "
    "name servers. Not waiting does not undo anything; 'moorage dns undo FILE' does."
)
_UNINSTALL = (
    "The servers are done and checked. Moorage uninstalls those that left, once clients no longer "
    "have their addresses. Not waiting keeps those running where this has not begun; another apply "
    "can uninstall them."
)
_AFTER_SWITCH = {"record", "drain"}


@dataclass(frozen=True)
class ApplyProgress:
    """The progress of an apply.

    Attributes:
        servers: The progress of each server.
        is_checking: Whether the runs are over and the checks are running.
        dns_state: The state of the DNS records, as of a server; empty if Moorage leaves them alone.
        generated: The users whose passwords the apply generates.
        is_over: Whether the apply has ended.
        is_uninstalling: Whether only servers that left are to be uninstalled.
    """

    servers: Sequence[ServerProgress]
    is_checking: bool = False
    dns_state: str = ""
    generated: Sequence[str] = ()
    is_over: bool = False
    is_uninstalling: bool = False


class CancelDialog(Dialog[str]):
    """Continue, leave or stop; the text follows the run.

    It stays when the apply ends: a key that was meant for it must not reach what opens next.

    Args:
        progress: Returns the current progress.
    """

    def __init__(self, progress: Callable[[], ApplyProgress]) -> None:
        super().__init__()
        self._progress = progress

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
        """Follow the run."""
        self._show()
        self.set_interval(0.5, self._show)

    def _show(self) -> None:
        now = self._progress()
        if now.is_over:
            self._show_end()
            return
        waits_for_dns = now.dns_state == "running"
        text = _describe_choices(now)
        if now.is_uninstalling:
            text = _UNINSTALL
        elif waits_for_dns:
            text = _DNS
        elif now.is_checking:
            text = _CHECKING + (_DNS_LATER if now.dns_state == "waiting" else "")
        self.query_one(".dialog--text", Static).update(text)
        label = "Do not wait" if waits_for_dns or now.is_uninstalling else "Skip the checks"
        relabel(self.query_one("#skip", Button), label)
        for button in self.query(Button):
            is_offered = (button.id == "skip") == now.is_checking
            if button.id == "stop":
                is_offered &= any(map(_can_stop, now.servers))
            button.display = button.id == "back" or is_offered
        if self.focused is not None and not self.focused.display:
            self.set_focus(self.query_one("#back"))

    def _show_end(self) -> None:
        self.query_one(".dialog--box").border_title = "Apply"
        self.query_one(".dialog--text", Static).update(_OVER)
        relabel(self.query_one("#back", Button), "Report")
        for button in self.query(Button):
            button.display = button.id == "back"
        self.set_focus(self.query_one("#back"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "back")

    def action_refuse(self) -> None:
        """Continue."""
        self.dismiss("back")


def _describe_choices(now: ApplyProgress) -> str:
    """Return what stopping and leaving would do now."""
    lines = ["Nothing is left to stop. Right now:"]
    if any(map(_can_stop, now.servers)):
        lines = [
            "Stop: every run stops before its next step and rolls back. Servers that have "
            "finished keep the change. Right now:"
        ]
    for server in now.servers:
        lines.append(f"  {printable(server.name)}: {_effect_of_stopping(server)}")
    lines.append("")
    leave = "Leave: the runs continue on the servers. Open these answers again to see them."
    if now.generated:
        plural = "s" if len(now.generated) > 1 else ""
        leave += (
            f" Moorage then cannot show the password{plural} of "
            f"{printable(', '.join(now.generated))}; set {'new ones' if plural else 'a new one'} "
            "in Users."
        )
    lines.append(leave)
    return "\n".join(lines)


def _can_stop(server: ServerProgress) -> bool:
    """Return whether stopping changes what becomes of a server."""
    has_ended = server.state in {"done", "unchanged", "bad"}
    return not has_ended and server.step not in {"rollback", *_AFTER_SWITCH}


def _effect_of_stopping(server: ServerProgress) -> str:
    if server.state == "waiting":
        return "has not started; nothing will change"
    if server.state in {"done", "unchanged"}:
        return "has finished, and keeps the change"
    if server.state == "bad":
        return "has already ended"
    if server.step == "rollback":
        return "is rolling back"
    if server.step in _AFTER_SWITCH:
        return "has switched, and keeps the change"
    return f"rolls back ({server.words.lower()})"
