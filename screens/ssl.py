"""SSL: how the registry gets its certificate."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from moorage.deploy import private_ca
from moorage.desired.certificates import describe, find_faults
from moorage.errors import MoorageError
from tui.flow import Step
from tui.jobs import JobEnded, start_job
from tui.session import Session
from tui.widgets.choice import Choice, Option
from tui.widgets.field import Field
from tui.widgets.pane import StepPane

_MODES = (
    Option("private_ca", "Private CA", "made by Moorage; clients are told to trust it"),
    Option("files", "Files I have", "a certificate and its key"),
    Option("none", "None", "a load balancer in front does TLS"),
)


class SslPane(StepPane):
    """The certificate's source, and the certificate read back."""

    step = Step.SSL
    question = "How does the registry get its certificate?"
    help_text = (
        "Private CA: Moorage makes a certificate authority, keeps its key on this machine and "
        "issues the registry's certificate; every machine that uses the registry has to trust it. "
        "Files: PEM files on this machine, the certificate followed by its chain, the key without "
        "a passphrase. None: only behind a load balancer that ends TLS; docker login refuses "
        "plain HTTP."
    )
    DEFAULT_CSS = """
    SslPane .mode { height: auto; }
    SslPane #certificate { height: auto; margin-bottom: 1; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._reads = 0
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        yield Choice(_MODES, "ssl.mode", id="mode")
        with Vertical(id="private_ca", classes="mode"):
            yield Field(
                "Name of the CA",
                "ssl.private_ca.name",
                placeholder="Moorage private CA",
                help_text="What clients see as the issuer",
            )
        with Vertical(id="files", classes="mode"):
            yield Field(
                "Certificate",
                "ssl.files.certificate",
                placeholder="~/fullchain.pem",
                help_text="PEM: the certificate, followed by its chain",
            )
            yield Field(
                "Key",
                "ssl.files.key",
                placeholder="~/privkey.pem",
                help_text="PEM, without a passphrase",
            )
        yield Static("", id="certificate", markup=False)

    def load(self) -> None:
        """Fill the fields and show those of the mode."""
        super().load()
        self._show_mode()

    def _show_mode(self) -> None:
        mode = self.query_one("#mode", Choice).value
        for name in ("private_ca", "files"):
            self.query_one(f"#{name}").display = mode == name
        self._read_back()

    @on(Choice.Changed, "#mode")
    def _mode_chosen(self, event: Choice.Changed) -> None:
        if event.value == "files" and not isinstance(self.draft.get("ssl.files"), dict):
            self.draft.set("ssl.files", {})
        self.show_fault("")
        self._show_mode()

    @on(Field.Changed)
    @on(Field.Left)
    def _path_typed(self, event: Field.Said) -> None:
        """Read the files once typing pauses, or at once when the field is left."""
        if self._timer is not None:
            self._timer.stop()
        is_left = isinstance(event, Field.Left)
        self._timer = self.set_timer(0.01 if is_left else 0.7, self._read_back)

    def _read_back(self) -> None:
        """Read the certificate in a thread and show what is in it."""
        self._reads += 1
        name_of_job = f"read-{self._reads}"
        mode = self.query_one("#mode", Choice).value
        domain = self.draft.domain or "registry.example.com"
        if mode == "none":
            self._show(
                "docker login refuses plain HTTP: put a load balancer that ends TLS in front.",
                "$text-warning",
            )
        elif mode == "private_ca":
            name = self.draft.text("ssl.private_ca.name") or "Moorage private CA"
            start_job(self, name_of_job, lambda: describe_authority(name))
        else:
            certificate = self.draft.text("ssl.files.certificate")
            key = self.draft.text("ssl.files.key")
            if certificate:
                start_job(self, name_of_job, lambda: read_files(certificate, key, domain))
            else:
                self._show("", "")

    @on(JobEnded)
    def _read(self, event: JobEnded) -> None:
        if event.name != f"read-{self._reads}":
            return  # something else was typed meanwhile
        if event.error is not None:
            self._show(f"✗ {event.error.message}", "$text-error")
        else:
            text, is_good = event.result
            self._show(text, "" if is_good else "$text-error")

    def _show(self, text: str, colour: str) -> None:
        self.query_one("#certificate", Static).update(Content.styled(text, colour))


def describe_authority(name: str) -> tuple[str, bool]:
    """Return whether the private CA is there already, and how long it lasts."""
    authority = private_ca.load(name)
    if authority is None:
        return "A new CA is made with the first apply and kept on this machine.", True
    facts = describe(authority.certificate_pem)
    folder = private_ca.folder_of(name)
    return f"✓ This CA is in {folder}, {facts.days_left} days left.", True


def read_files(certificate: str, key: str, domain: str) -> tuple[str, bool]:
    """Read a certificate and its key back; returns a description and whether all is well.

    Args:
        certificate: Path of the certificate with its chain.
        key: Path of the key; empty when it was not given yet.
        domain: The registry's name.

    Raises:
        MoorageError: A file cannot be read.
    """
    pem = _read(certificate)
    try:
        facts = describe(pem)
    except ValueError:
        return "✗ The file holds no PEM certificate (-----BEGIN CERTIFICATE-----).", False
    lines = [
        f"Names   {', '.join(facts.names) or 'none'}",
        f"Issuer  {facts.issuer}",
        f"Until   {facts.not_after:%Y-%m-%d}, {facts.days_left} days left",
        f"Chain   {' < '.join(facts.chain)}",
    ]
    faults = [sentence for _, sentence in find_faults(pem, _read(key) if key else b"", domain)]
    if not key:
        faults = [fault for fault in faults if not fault.startswith("The key")]
    lines += [f"✗ {fault}" for fault in faults]
    if not faults:
        lines.append("✓ The certificate fits the name" + (" and the key" if key else ""))
    return "\n".join(lines), not faults


def _read(name: str) -> bytes:
    path = Path(name).expanduser()
    try:
        if path.stat().st_size > 1_000_000:
            raise MoorageError(f"{path} is too large for a PEM file.", code="cannot_read")
        return path.read_bytes()
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise MoorageError(f"{path} cannot be read: {why}.", code="cannot_read") from error
