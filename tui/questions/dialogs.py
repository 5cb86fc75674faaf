"""Dialogs for the engine's questions: host keys, logins and secrets."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.answers.secrets import Secret
from moorage.errors import SecretName
from moorage.escape import printable
from moorage.servers.ssh.input_check import key_fault
from moorage.servers.transport import HostKey, LoginRequest
from tui.actions import bindings
from tui.document.paths import parse_path
from tui.labels import label_of
from tui.widgets.dialog import AskingDialog, Dialog
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter
from tui.widgets.secret_field import SecretField

_LABELS = {
    "passphrase": "Passphrase",
    "password": "Password",
    "sudo_password": "Password",
    "accesskey": "Access key",
    "secretkey": "Secret key",
    "key": "Key",
}
"""The label of the field, by the kind of secret."""


class HostKeyDialog(Dialog[bool]):
    """Shows an unknown host key; trusting it takes a deliberate key press.

    Args:
        key: The key the server showed.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("host_key")

    def __init__(self, key: HostKey) -> None:
        super().__init__()
        self._key = key

    def compose(self) -> ComposeResult:
        key = self._key
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Unknown server"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(
                    Content(
                        f"{printable(key.server)} has a host key that is not in known_hosts. Trust "
                        "it only if the fingerprint is the server's."
                    ),
                    classes="dialog--text",
                )
                yield Static(
                    Content(f"Address      {printable(key.address)}\nType         {key.kind}\n")
                    + Content("Fingerprint  ")
                    + Content.styled(key.fingerprint, "bold"),
                    classes="dialog--text",
                )
                yield Static(
                    "On the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n"
                    "If you trust the key, it is added to known_hosts.",
                    classes="dialog--text",
                    markup=False,
                )
            with Horizontal(classes="dialog--buttons"):
                yield Button("Refuse", id="refuse", compact=True)
                yield Button("Trust it", id="accept", variant="primary", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the safe button."""
        self.set_focus(self.query_one("#refuse"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "accept")

    def action_trust(self) -> None:
        """Trust the key."""
        self.dismiss(True)

    def action_refuse(self) -> None:
        """Refuse the key."""
        self.dismiss(False)


class SecretDialog(AskingDialog[Secret | None]):
    """Asks for a password or passphrase, which is kept in memory only.

    Args:
        what: The secret.
        server: The server it is for, or None.
        is_repeated: Whether the previous answer was wrong.
    """

    def __init__(self, what: SecretName, server: str | None, *, is_repeated: bool = False) -> None:
        super().__init__()
        self._is_repeated = is_repeated
        self._kind = what.kind
        self._what = printable(label_of(parse_path(what.field)) or str(what))
        self._server = printable(server or "")

    @property
    def _label(self) -> str:
        """The kind of secret in one word; a sudo password is a password."""
        return _LABELS.get(self._kind, "Secret")

    def compose(self) -> ComposeResult:
        title = self._what[:1].upper() + self._what[1:]
        with Vertical(classes="dialog--box") as box:
            box.border_title = Content(self._server or "Moorage")
            yield Static(Content(title), classes="dialog--text")
            yield SecretField(self._label, help_text="Kept in memory until the wizard ends")
            yield from self.buttons("OK")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start typing at once."""
        field = self.query_one(Field)
        field.focus()
        if self._is_repeated:
            field.show_error(f"Wrong {self._label.lower()}, try again")

    @on(Field.Changed)
    def _typing(self, event: Field.Changed) -> None:
        event.field.show_error("")

    def accept(self) -> None:
        """Return the secret."""
        field = self.query_one(Field)
        if field.value:
            self.dismiss(Secret(field.value))
        else:
            field.show_error("Required. Press Escape to skip.")


class LoginDialog(AskingDialog[Secret | Path | None]):
    """Says why no key worked for a login, and asks for a password or another key.

    Args:
        request: The login.
    """

    def __init__(self, request: LoginRequest) -> None:
        super().__init__()
        self._request = request

    def compose(self) -> ComposeResult:
        request = self._request
        methods = ", ".join(request.methods)
        accepts = f"\nThe server accepts: {methods}." if methods else ""
        with Vertical(classes="dialog--box") as box:
            box.border_title = Content(printable(request.server))
            with VerticalScroll(classes="dialog--body", can_focus=False):
                reason = Content(printable(f"{request.reason}{accepts}"))
                yield Static(reason, classes="dialog--text")
                yield SecretField(
                    "Password", id="password", help_text="Kept in memory until the wizard ends"
                )
                if request.takes_keys:
                    yield Field(
                        "Or a key file", id="key", placeholder="e.g. ~/.ssh/id_ed25519",
                        help_text="" if request.is_jump_host else "Saved with the server",
                    )  # fmt: skip
            yield from self.buttons("Log in")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start typing at once."""
        password = self.query_one("#password", Field)
        password.focus()
        if self._request.rejected is not None:
            password.show_error("Wrong password, try again")

    @on(Field.Changed)
    def _typing(self, event: Field.Changed) -> None:
        event.field.show_error("")
        self.refresh_bindings()

    def is_enough(self) -> bool:
        """Return whether a password or a key has been entered."""
        return any(field.value for field in self.query(Field))

    def accept(self) -> None:
        """Return the key or the password."""
        password = self.query_one("#password", Field)
        key = next(iter(self.query("#key").results(Field)), None)
        if key is not None and key.value.strip():
            fault = key_fault(key.value.strip(), self._request.server)
            if fault:
                key.show_error(fault)
                key.focus()
            else:
                self.dismiss(Path(key.value.strip()))
        elif password.value:
            self.dismiss(Secret(password.value))
        else:
            password.show_error("Enter a password or a key. Press Escape to skip.")
            password.focus()
