"""Asks for a server that already runs Moorage."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from moorage.errors import MoorageError
from moorage.servers.address import parse_server
from moorage.servers.ssh.config import SshConfig
from tui.widgets.dialog import AskingDialog
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter


class ConnectDialog(AskingDialog[tuple[str, str] | None]):
    """Asks how to reach a server; returns its address and key file."""

    def compose(self) -> ComposeResult:
        try:
            aliases = SshConfig.load().aliases()
        except (MoorageError, OSError):
            aliases = []
        offered = f"From ~/.ssh/config: {', '.join(aliases[:6])}" if aliases else ""
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Connect to a server"
            yield Static("Moorage reads what is deployed there and changes nothing.",
                         classes="dialog--text", markup=False)  # fmt: skip
            yield Field("Server", id="address", placeholder="e.g. root@203.0.113.10",
                        help_text=offered or "USER@HOST, or an alias from ~/.ssh/config",
                        suggestions=aliases)  # fmt: skip
            yield Field("Key file", id="key", placeholder="e.g. ~/.ssh/id_ed25519",
                        help_text="Empty: the keys that ssh would use")  # fmt: skip
            yield from self.buttons("Connect")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the first field."""
        self.query_one("#address", Field).focus()

    def accept(self) -> None:
        """Return the server, or show what is wrong with its address or key."""
        from moorage.servers.ssh.input_check import key_fault

        address = self.query_one("#address", Field)
        try:
            server = parse_server(address.value)
        except MoorageError as error:
            address.show_error(error.message)
            address.focus()
            return
        key = self.query_one("#key", Field)
        if key.value.strip() and (fault := key_fault(key.value.strip(), server.host)):
            key.show_error(fault)
            key.focus()
        else:
            self.dismiss((address.value.strip(), key.value.strip()))
