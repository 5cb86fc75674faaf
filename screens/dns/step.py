"""DNS: the records of the registry's name, and who manages them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Button, Static

from moorage.answers.fields import is_secret_option
from moorage.answers.secrets import Secret, Typed
from moorage.errors import MoorageError, SecretName
from moorage.escape import printable
from screens.dns import check
from screens.dns.check import NameCheck
from screens.dns.check_text import record_lines, result_lines
from tui.actions import bindings
from tui.document.server_addresses import public_addresses
from tui.document.steps import Step
from tui.labels import describe_error, explain, text_of
from tui.messages import DraftChanged
from tui.tasks import in_thread
from tui.widgets.choice import Choice, Option, Toggle
from tui.widgets.dialog import ConfirmDialog
from tui.widgets.field import Field
from tui.wizard.step_pane import StepPane
from tui.wizard_session import WizardSession

_PROVIDERS = (
    Option("manual", "I create the records", "Moorage checks them"),
    Option("rfc2136", "My name server", "RFC 2136 with a TSIG key"),
    Option("route53", "Amazon Route 53", "with health checks"),
    Option("lexicon", "Another provider", "Cloudflare, OVH and others"),
)
_RECORDS = (
    Option("address", "A and AAAA records", "for the servers' addresses"),
    Option("cname", "CNAME record", "e.g. to a load balancer"),
)
_ALGORITHMS = ("hmac-sha256", "hmac-sha512", "hmac-sha384", "hmac-sha1", "hmac-md5")
_PAUSE = 1.0
"""Seconds without typing after which the records are checked again."""


class DnsPane(StepPane):
    """The DNS provider, the records and their current state."""

    step = Step.DNS
    question = "Who manages the DNS records?"
    help_text = (
        "The registry's name must resolve to the servers before clients can use it. You can "
        "continue without the records: the checks after an apply connect to each server by its "
        "address. With a provider, Moorage manages the records: it shows changes as a diff, and "
        "asks before it replaces records it did not create; 'moorage dns undo FILE' restores the "
        "previous ones. Failover: Route 53 checks the servers itself; otherwise 'moorage failover "
        "FILE' does, and 'moorage failover install FILE --on HOST' installs it as a service."
    )
    example = (
        "registry.example.com  300  A     203.0.113.10\n"
        "registry.example.com  300  AAAA  2001:db8::10\n"
        "^ registry name       ^ TTL      ^ a server's public address"
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("dns")
    DEFAULT_CSS = """
    DnsPane .provider, DnsPane #options { height: auto; }
    DnsPane #records { height: auto; background: $panel; padding: 0 1; }
    DnsPane #resolved { height: auto; margin-bottom: 1; }
    DnsPane .row { height: 1; margin-bottom: 1; }
    """

    def __init__(self, session: WizardSession) -> None:
        super().__init__(session)
        self._stop: threading.Event | None = None
        self._timer: Timer | None = None
        self._found: NameCheck | None = None
        self._options_provider = ""

    def body(self) -> ComposeResult:
        yield Static("", id="records", markup=False)
        yield Static("", id="resolved", markup=False)
        with Horizontal(classes="row", id="update-row"):
            yield Button("Update the records now", id="update", compact=True)
        yield Choice(_PROVIDERS, "dns.provider", id="provider")
        with Vertical(id="rfc2136", classes="provider"):
            yield Field.at("dns.rfc2136.server")
            yield Field.at("dns.rfc2136.port")
            yield Field.at("dns.rfc2136.key_name")
            yield _SecretField.at("dns.rfc2136.key")
            yield Field.at("dns.rfc2136.algorithm", suggestions=_ALGORITHMS)
        with Vertical(id="route53", classes="provider"):
            yield Field.at("dns.route53.zone_id")
            yield _SecretField.at("dns.route53.accesskey", is_shown=True)
            yield _SecretField.at("dns.route53.secretkey")
            yield Field.at("dns.route53.profile")
        with Vertical(id="lexicon", classes="provider"):
            yield Field.at("dns.lexicon.name")
            yield Vertical(id="options")
        yield Choice(_RECORDS, "dns.record", id="record")
        with Vertical(id="cname", classes="provider"):
            yield Field.at("dns.target")
        yield Field.at("dns.ttl")
        yield Field.at("dns.zone")
        yield Field.at("dns.nameservers", keeps_own=True, id="nameservers")
        yield Toggle("Failover: publish only working servers")

    def load(self) -> None:
        """Fill the fields and show those of the provider."""
        super().load()
        for field in self.query(_SecretField):
            field.load_from(self.draft.get(field.place))
        self.query_one(Toggle).value = self.draft.get("dns.failover") is not None
        given = self.draft.get("dns.nameservers") or ()
        self.query_one("#nameservers", Field).value = ", ".join(str(each) for each in given)
        self._show_fields()

    def opened(self) -> None:
        """Check the records at once."""
        super().opened()
        self._check(is_asked_for=False)

    def focus_first(self) -> None:
        """Focus the choice of the provider."""
        self.take_focus(self.query_one("#provider", Choice))

    def closed(self) -> None:
        """Stop the check."""
        self._stop_check()

    def _show_fields(self) -> None:
        provider = self.query_one("#provider", Choice).value
        for name in ("rfc2136", "route53", "lexicon"):
            self.query_one(f"#{name}").display = provider == name
        self.query_one("#cname").display = self.query_one("#record", Choice).value == "cname"
        several = len(self.draft.items("servers")) > 1
        self.query_one(Toggle).display = several or self.query_one(Toggle).value
        self.query_one("#update-row").display = False
        if provider == "lexicon":
            self._ask_for_options(self.draft.text("dns.lexicon.name"))

    @on(Choice.Changed)
    def _choice_made(self, event: Choice.Changed) -> None:
        section = f"dns.{event.value}"
        if event.value in {"rfc2136", "lexicon"} and not isinstance(self.draft.get(section), dict):
            self.draft.set(section, {})
        self.show_fault("")
        self._show_fields()
        self._check_soon()

    @on(Toggle.Changed)
    def _failover_chosen(self, event: Toggle.Changed) -> None:
        if event.value:
            self.draft.set("dns.failover", self.draft.get("dns.failover") or {})
        else:
            self.draft.remove("dns.failover")
        self.post_message(DraftChanged())
        self._check_soon()

    @on(Field.Changed)
    def _field_typed(self, event: Field.Changed) -> None:
        field = event.field
        if isinstance(field, _SecretField):
            if event.value.strip():
                self.draft.set(field.place, Typed(Secret(event.value.strip())))
            elif isinstance(self.draft.get(field.place), Typed):
                self.draft.remove(field.place)
            self.post_message(DraftChanged())
        if field.id == "nameservers":
            given = [each.strip() for each in event.value.split(",") if each.strip()]
            if given:
                self.draft.set("dns.nameservers", given)
            else:
                self.draft.remove("dns.nameservers")
            self.post_message(DraftChanged())
        if field.path == "dns.lexicon.name":
            self._ask_for_options(event.value.strip())
        self._check_soon()

    @on(Field.Left, "#nameservers")
    def _name_servers_left(self, event: Field.Left) -> None:
        event.field.show_error(text_of(self.draft.problem_at("dns.nameservers")))

    def _ask_for_options(self, name: str) -> None:
        if name and name != self._options_provider:
            self._show_options(name)

    @work(exclusive=True, group="options")
    async def _show_options(self, name: str) -> None:
        """Show a field for each option of the provider."""
        try:
            options = await in_thread(lambda: _options(name))
        except MoorageError:
            return
        if name != self.draft.text("dns.lexicon.name") or name == self._options_provider:
            return
        self._options_provider = name
        given = self.draft.get("dns.lexicon.options", {})
        for option in [each for each in given if each.replace("-", "_") not in options]:
            self.draft.remove(f"dns.lexicon.options.{option}")  # another provider's
        holder = self.query_one("#options", Vertical)
        await holder.remove_children()
        for option in options:
            place, label = f"dns.lexicon.options.{option}", option.replace("_", " ")
            if is_secret_option(option):
                secret = _SecretField(label, place)
                await holder.mount(secret)
                secret.load_from(self.draft.get(place))
            else:
                field = Field(label, place)
                await holder.mount(field)
                field.value = self.draft.text(place)

    def action_check_records(self) -> None:
        """Check the records, or stop a running check; results are at the top."""
        self.scroll_home(animate=False)
        if self._stop is not None:
            self._stop_check()
            self._say("Check stopped.")
        else:
            self._check(is_asked_for=True)

    def _stop_check(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._stop is not None:
            self._stop.set()
            self._stop = None
        self.workers.cancel_group(self, "look")

    def _check_soon(self) -> None:
        self._stop_check()
        # The provider is only asked on Ctrl+T, never with a half-typed password.
        start = partial(self._check, is_asked_for=False, asks_provider=False)
        self._timer = self.set_timer(_PAUSE, start)

    def _check(self, *, is_asked_for: bool, asks_provider: bool = True) -> None:
        self._stop_check()
        self.query_one("#update-row").display = False
        try:
            answers = check.answers_to_check(self.draft)
        except MoorageError as error:
            self._say(explain(error, self.step))
            return
        addresses = public_addresses(self.draft)
        operations = self.session.operations
        # Opening the step must not prompt for a password.
        ask = operations.asker.secret if is_asked_for else _no_secret
        resolve = check.resolver(ask, operations.redactor)
        stop = self._stop = threading.Event()
        self._say(f"Looking up {answers.registry.domain}… (Ctrl+T: stop)")
        self._show_check(
            lambda: check.check_records(
                answers, addresses, resolve, stop.is_set, asks_provider=asks_provider
            )
        )

    @work(group="look")
    async def _show_check(self, run: Callable[[], NameCheck]) -> None:
        try:
            found = await in_thread(run, self.session.operations.redactor)
        except MoorageError as error:
            self._say_failed(error)
            return
        self._stop = None
        self._show(found)

    def _say_failed(self, error: MoorageError) -> None:
        self._stop = None
        self._say(
            "", Content.styled(printable(f"✗ {describe_error(error, self.step)}"), "$text-error")
        )

    @on(Button.Pressed, "#update")
    @work
    async def _confirm_update(self, event: Button.Pressed) -> None:
        event.stop()
        found = self._found
        if found is None or found.plan is None:
            return
        lines = "\n".join(line for change in found.changes for line in change.diff)
        foreign = [line for each in found.plan.foreign for line in each.lines()]
        text = f"{found.plan.provider.title}\n\n{lines}"
        if foreign:
            text += "\n\nNot created by this deployment:\n" + "\n".join(foreign)
        accept = "Replace them" if foreign else "Update"
        dialog = ConfirmDialog("Update the records", printable(text), accept, careful=bool(foreign))
        if await self.app.push_screen_wait(dialog) and self._found is found:
            self._stop_check()
            self._update(found)

    @work(group="look")
    async def _update(self, found: NameCheck) -> None:
        stop = self._stop = threading.Event()
        self.focus_first()
        self.query_one("#update-row").display = False
        self._say("Updating the records…")
        try:
            await in_thread(
                lambda: check.update_records(found, stop.is_set), self.session.operations.redactor
            )
        except MoorageError as error:
            self._say_failed(error)
            return
        self._stop = None
        self._check(is_asked_for=True)

    def _show(self, found: NameCheck) -> None:
        self._found = found
        by_http = self.draft.text("ssl.acme.challenge") != "dns-01"
        by_name = self.draft.text("ssl.mode") == "acme" and by_http
        result = result_lines(found, needs_name=by_name)
        self._say(Content("\n").join(record_lines(found)), Content("\n").join(result))
        self.query_one("#update-row").display = found.plan is not None and found.plan.has_changes

    def _say(self, records: str | Content, resolved: str | Content = "") -> None:
        shown = self.query_one("#records", Static)
        shown.update(records)
        shown.display = bool(str(records))
        self.query_one("#resolved", Static).update(resolved)
        if self.screen.focused in {None, self.query_one("#provider")}:
            # Nothing is being typed further down, so show the results at the top.
            self.call_after_refresh(self.scroll_home, animate=False)


class _SecretField(Field):
    """A field for a secret: kept in memory only; a reference in the answers stays unchanged."""

    def __init__(
        self,
        label: str,
        place: str,
        *,
        help_text: str = "",
        placeholder: str = "",
        is_shown: bool = False,
    ) -> None:
        super().__init__(label, help_text=help_text, placeholder=placeholder, password=not is_shown)
        self.place = place

    def load_from(self, reference: object) -> None:
        """Show the draft's value."""
        if isinstance(reference, Typed):
            self.value = reference.secret.reveal()
        elif isinstance(reference, dict):
            self.input.placeholder = f"unchanged: {reference}"


def _options(name: str) -> tuple[str, ...]:
    from moorage.dns.lexicon import known_options

    return known_options(name)


def _no_secret(what: SecretName, server: str | None) -> None:
    return None
