"""SSL: how the registry gets its certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from moorage.answers.dns_plugins import PLUGINS
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret, Typed
from moorage.deploy.certificates.certificate import with_files
from moorage.deploy.plan.plan import Plan
from moorage.errors import AnswersError, MoorageError, Problem
from moorage.escape import printable
from screens.ssl.certificate_preview import (
    Described,
    describe_acme,
    describe_authority,
    describe_replacement,
    describe_trust,
    read_files,
)
from tui.actions import bindings
from tui.consequences_text import describe_consequences
from tui.document.server_addresses import public_addresses
from tui.document.steps import Step
from tui.labels import describe_error, describe_problem, text_of
from tui.messages import AppliedFound, DraftChanged
from tui.tasks import in_thread
from tui.widgets.choice import Choice, Option, Toggle
from tui.widgets.dialog import ConfirmDialog
from tui.widgets.field import Field, ListField
from tui.wizard.step_pane import StepPane
from tui.wizard_session import WizardSession

# The first is the model's default.
_MODES = (
    Option("private_ca", "Private CA", "clients must trust it"),
    Option("acme", "ACME", "Let's Encrypt, auto-renewed"),
    Option("files", "Files I have", "a certificate and its key"),
    Option("none", "None", "a load balancer terminates TLS"),
)
_CHALLENGES = (
    Option("http-01", "HTTP challenge", "the CA connects to port 80"),
    Option("dns-01", "DNS challenge", "certbot creates a record"),
)
_KEY_TYPES = (Option("ecdsa", "ECDSA key"), Option("rsa", "RSA key", "for very old clients"))
_PROFILES = (
    Option("intermediate", "TLS 1.2 and 1.3", "Mozilla's intermediate profile"),
    Option("modern", "TLS 1.3 only", "Mozilla's modern profile"),
)
_PROVIDERS = tuple(Option(name, name) for name in PLUGINS)
_ACME = "ssl.acme"
_FILES = {"files": "ssl.files", "acme": f"{_ACME}.ca_file"}
"""The path of the answers that name files of this machine, by mode."""
_CA_NAME = "ssl.private_ca.name"
_CREDENTIALS = f"{_ACME}.dns.credentials"
_SECRETS = {
    "passphrase": "ssl.private_ca.passphrase",
    "hmac": f"{_ACME}.external_account.hmac",
} | {
    f"dns-{plugin.name}-{name}": f"{_CREDENTIALS}.{name}"
    for plugin in PLUGINS.values()
    for name in plugin.secrets
}
"""The paths of the secrets in the draft, by the id of their field."""


class SslPane(StepPane):
    """The source of the certificate and its fields, with a description of the certificate."""

    step = Step.SSL
    question = "How does the registry get its certificate?"
    help_text = (
        "Private CA: Moorage creates a certificate authority, keeps its key on this machine and "
        "issues the registry's certificate; every client must trust the CA. ACME: certbot obtains "
        "the certificate on the servers and renews it; choosing it accepts the CA's terms of "
        "service. Files: PEM files on this machine: the certificate followed by its chain, and "
        "the key without a passphrase; Ctrl+T installs changed files on the servers. None: only "
        "behind a load balancer that terminates TLS; docker login refuses plain HTTP."
    )
    example = (
        "only your own machines use it         Private CA\n"
        "public clients, port 80 is open       ACME, HTTP challenge\n"
        "public clients, port 80 is closed     ACME, DNS challenge\n"
        "your company has a CA                 Files I have\n"
        "a load balancer terminates TLS        None"
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("ssl")
    DEFAULT_CSS = """
    SslPane .mode { height: auto; }
    SslPane #certificate { height: auto; margin-bottom: 1; }
    SslPane #trust { height: auto; margin-bottom: 1; color: $text-muted; }
    """

    def __init__(self, session: WizardSession) -> None:
        super().__init__(session)
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        yield Choice(_MODES, "ssl.mode", id="mode")
        yield Static("", id="certificate", markup=False)
        yield Static("", id="trust", markup=False)
        with Vertical(id="private_ca", classes="mode"):
            yield Field.at(_CA_NAME, id="ca-name")
            yield Field.at(
                "ssl.private_ca.passphrase", keeps_own=True, id="passphrase", password=True
            )
        with Vertical(id="acme", classes="mode"):
            yield from _acme_fields()
        with Vertical(id="files", classes="mode"):
            yield Field.at("ssl.files.certificate")
            yield Field.at("ssl.files.key")
        with Vertical(id="tls", classes="mode"):
            yield Choice(_PROFILES, "ssl.profile")
            yield Field.at("ssl.hsts")
        yield ListField.at("ssl.trusted_proxies")

    def load(self) -> None:
        """Fill the fields and show those of the mode."""
        super().load()
        for name, path in _SECRETS.items():
            field = self.query_one(f"#{name}", Field)
            reference = self.draft.get(path)
            field.value = reference.secret.reveal() if isinstance(reference, Typed) else ""
            if isinstance(reference, dict):
                field.input.placeholder = f"unchanged: {reference}"
        self._show_mode()

    def _show_mode(self) -> None:
        mode = self.query_one("#mode", Choice).value
        for name in ("private_ca", "acme", "files"):
            self.query_one(f"#{name}").display = mode == name
        self.query_one("#tls").display = mode != "none"
        self._show_challenge()
        self.refresh_bindings()
        self._read_back()

    def _show_challenge(self) -> None:
        by_dns = self.query_one("#challenge", Choice).value == "dns-01"
        self.query_one("#by-dns").display = by_dns
        provider = self.query_one("#provider", Choice).value
        for name in PLUGINS:
            self.query_one(f"#dns-{name}").display = name == provider

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to replace the certificate only if it comes from files."""
        if action == "replace":
            return self.is_mounted and self.query_one("#mode", Choice).value == "files"
        return super().check_action(action, parameters)

    @on(Choice.Changed, "#mode")
    def _mode_chosen(self, event: Choice.Changed) -> None:
        if event.value == "files" and not isinstance(self.draft.get("ssl.files"), dict):
            self.draft.set("ssl.files", {})
        self.show_fault("")
        self._show_mode()

    @on(Choice.Changed, "#challenge")
    @on(Choice.Changed, "#provider")
    def _challenge_chosen(self, event: Choice.Changed) -> None:
        provider = self.query_one("#provider", Choice).value
        if event.choice.id == "provider" or not self.draft.text(f"{_ACME}.dns.provider"):
            self.draft.set(f"{_ACME}.dns.provider", provider)
        self.draft.remove(_CREDENTIALS)
        self.show_fault("")
        self._show_challenge()
        self._read_back()

    @on(Toggle.Changed)
    def _staging_chosen(self, _event: Toggle.Changed) -> None:
        self._read_back()

    @on(Field.Changed)
    @on(Field.Left)
    def _path_typed(self, event: Field.FieldMessage) -> None:
        """Store secrets in the draft; read the files once typing pauses."""
        name = event.field.id or ""
        if isinstance(event, Field.Changed) and name in _SECRETS:
            self._keep_secret(_SECRETS[name], event.value)
        if self._timer is not None:
            self._timer.stop()
        is_left = isinstance(event, Field.Left)
        self._timer = self.set_timer(0.01 if is_left else 0.7, self._read_back)

    def _keep_secret(self, path: str, text: str) -> None:
        if text.strip():
            self.draft.set(path, Typed(Secret(text.strip())))
        elif isinstance(self.draft.get(path), Typed):
            self.draft.remove(path)
        self.post_message(DraftChanged())

    def _read_back(self) -> None:
        """Read the certificate in a thread and describe it."""
        self.workers.cancel_group(self, "reading")
        self.described = ()
        mode = self.query_one("#mode", Choice).value
        is_named = self.draft.problem_at("registry.domain") is None
        domain = self.draft.domain if is_named else "registry.example.com"
        self.query_one("#trust").display = mode == "private_ca"
        if mode == "none":
            self._show(
                "docker login refuses plain HTTP: a load balancer must terminate TLS.",
                "$text-warning",
            )
        elif mode == "private_ca" and (fault := self.draft.problem_at(_CA_NAME)):
            # No CA has an invalid name, so there is none to read.
            self._show("", "")
            self.query_one("#ca-name", Field).show_error(text_of(fault))
        elif mode == "private_ca":
            name = self.draft.text(_CA_NAME) or "Moorage private CA"
            self._describe(lambda: describe_authority(name, domain))
            self._describe_trust(domain)
        else:
            self._describe_files()

    def _reader(self) -> Callable[[], Described]:
        """Return what reads and describes the files of the mode."""
        is_named = self.draft.problem_at("registry.domain") is None
        domain = self.draft.domain if is_named else ""
        if self.query_one("#mode", Choice).value == "acme":
            ca_file = self.draft.text(_FILES["acme"])
            by_dns = self.draft.text(f"{_ACME}.challenge") == "dns-01"
            is_staging = bool(self.draft.get(f"{_ACME}.staging"))
            name = domain or "registry.example.com"
            return lambda: describe_acme(name, by_dns, is_staging, ca_file)
        certificate = self.draft.text("ssl.files.certificate")
        key = self.draft.text("ssl.files.key")
        return lambda: read_files(certificate, key, domain) if certificate else Described("")

    @work(group="reading")
    async def _describe_files(self) -> None:
        await self._read_files()

    async def _read_files(self) -> bool:
        """Read the files of the mode in a thread; report their faults to the draft.

        Returns:
            Whether the answers still name these files.
        """
        path = _FILES[self.query_one("#mode", Choice).value]
        basis = self.draft.basis(path)
        described = await in_thread(self._reader())
        if self.draft.basis(path) != basis:
            return False  # typed meanwhile, and read again once typing pauses
        self._show(described.text, "" if described.is_good else "$text-error")
        self.described = described.faults
        if self.draft.report(path, described.faults):
            if not self.problems():
                self.show_fault("")
            self.post_message(DraftChanged())
        return True

    def action_go_on(self) -> None:
        """Continue if there are no problems here or in the files."""
        path = _FILES.get(self.query_one("#mode", Choice).value)
        if path is None or (self.draft.has_report(path) and not self.draft.problem_at(path)):
            super().action_go_on()
        else:
            self._read_and_go_on()

    @work(exclusive=True, group="continuing")
    async def _read_and_go_on(self) -> None:
        is_current = await self._read_files()
        if is_current and self.session.progress.current is self.step:
            super().action_go_on()

    def check(self) -> bool:
        """Show what is wrong and focus the first problem, in a field or in its file."""
        is_good = super().check()
        if self.described and not any(field.error for field in self.fields):
            self._field_of(self.described[0]).focus()
            self._read_back()  # the file can have been corrected
        return is_good

    def _field_of(self, problem: Problem) -> Field:
        """Return the field with the file that a problem is about."""
        path = problem.dotted
        if path == _FILES["files"]:
            path += ".key" if "key" in problem.code else ".certificate"
        return next(field for field in self.fields if field.path == path)

    def problem_of(self, field: Field) -> str:
        """Return what is wrong with a field; its file is described above the fields."""
        fault = super().problem_of(field)
        return "" if fault in map(text_of, self.described) else fault

    def action_replace(self) -> None:
        """Install the certificate on the servers, and nothing else."""
        # The files are read again below.
        self.draft.report(_FILES["files"], ())
        self.described = ()
        if not self.check():
            return
        try:
            answers = self.draft.answers()
        except AnswersError as error:
            self.show_fault(
                f"Some answers are still missing: {describe_problem(error.problems[0])}"
            )
            return
        self.workers.cancel_group(self, "reading")
        self._replace(answers)

    @work(group="reading")
    async def _describe_trust(self, domain: str) -> None:
        servers = public_addresses(self.draft).values()
        text = await in_thread(lambda: describe_trust(domain, servers))
        self.query_one("#trust", Static).update(Content(text))

    @work(group="reading")
    async def _describe(self, describe: Callable[[], Described]) -> None:
        await self._show_result(describe)

    @work
    async def _replace(self, answers: Answers) -> None:
        operations, drafted = self.session.operations, self.draft.without_secrets()

        def plan() -> Plan:
            operations.open(with_files(answers, None, None))
            return operations.plan_replacement()

        self._show("Reading the servers…", "")
        try:
            planned = await in_thread(plan)
        except MoorageError as error:
            self._show(f"✗ {describe_error(error)}", "$text-error")
            return
        servers = [server.server for server in planned.servers if server.has_changes]
        if not servers:
            self._show("✓ All servers already have this certificate", "$text-success")
            return
        question = _question(self.draft.text("ssl.files.certificate"), servers, planned)
        if not await self.app.push_screen_wait(question):
            self._read_back()
            return
        self._show("Replacing the certificate…", "")
        try:
            done = await in_thread(operations.replace_certificate)
        except MoorageError as error:
            self._show(f"✗ {describe_error(error)}", "$text-error")
            return
        described = describe_replacement(done)
        self._show(described.text, "" if described.is_good else "$text-error")
        report = done.report
        # The plan was that of the whole draft, so nothing is left to apply.
        if report is not None and report.is_good and self.draft.without_secrets() == drafted:
            self.app.post_message(AppliedFound(time.time(), revision=report.revision))

    async def _show_result(self, work: Callable[[], Described]) -> None:
        try:
            described = await in_thread(work)
        except MoorageError as error:
            self._show(f"✗ {describe_error(error)}", "$text-error")
        else:
            self._show(described.text, "" if described.is_good else "$text-error")

    def _show(self, text: str, colour: str) -> None:
        self.query_one("#certificate", Static).update(Content.styled(text, colour))


def _question(certificate: str, servers: list[str], plan: Plan) -> ConfirmDialog:
    """Return the question whether to replace the certificate, consequences first."""
    lines = describe_consequences(plan)
    lines += [Content("")] if lines else []
    rest = "Nothing else changes." if lines else "Nothing else changes, and no request fails."
    text = f"{certificate} replaces the certificate on {', '.join(servers)}. {rest}"
    return ConfirmDialog(
        "Replace the certificate",
        Content("\n").join([*lines, Content(printable(text))]),
        "Replace",
        careful=bool(plan.destructive),
    )


def _acme_fields() -> Iterator[Field | Choice | Toggle | Vertical]:
    yield Field.at(f"{_ACME}.email")
    yield Choice(_CHALLENGES, f"{_ACME}.challenge", id="challenge")
    yield Vertical(
        Choice(_PROVIDERS, f"{_ACME}.dns.provider", id="provider"),
        *(_credentials(name) for name in PLUGINS),
        id="by-dns",
        classes="mode",
    )
    yield Toggle.at(f"{_ACME}.staging")
    yield Field.at(f"{_ACME}.directory")
    yield Field.at(f"{_ACME}.ca_file")
    yield Choice(_KEY_TYPES, f"{_ACME}.key_type")
    yield Field.at(f"{_ACME}.external_account.kid")
    yield Field.at(f"{_ACME}.external_account.hmac", keeps_own=True, id="hmac", password=True)


def _credentials(provider: str) -> Vertical:
    plugin = PLUGINS[provider]
    fields = [
        Field(
            name.replace("_", " ").capitalize(),
            f"{_CREDENTIALS}.{name}",
            help_text="Optional" if name in plugin.optional else "",
        )
        for name in plugin.plain
    ]
    fields += [
        Field(
            name.replace("_", " ").capitalize(),
            id=f"dns-{provider}-{name}",
            password=True,
            help_text="Empty: the server's own role" if name in plugin.optional else "",
        )
        for name in plugin.secrets
    ]
    return Vertical(*fields, id=f"dns-{provider}", classes="mode")
