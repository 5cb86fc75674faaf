"""Done: what was checked, the passwords, and how clients log in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from moorage.answers.model import Answers
from moorage.answers.secrets import Generated
from moorage.deploy import ca
from moorage.deploy.clients import (
    login_command,
    registry_name,
    snippets,
    trust_for_docker,
    trust_for_system,
)
from moorage.deploy.name import report_lines
from moorage.deploy.operations import Outcome
from moorage.deploy.verify import Check
from moorage.escape import printable
from moorage.state import private_folder, write_private
from screens.done.indented import Indented
from screens.done.leave_dialog import LeaveDialog
from tui.actions import bindings
from tui.labels import describe_error
from tui.messages import AnswersSaved, GoBack, LogsWanted, SaveWanted, UsersWanted
from tui.outcome_text import server_ending, what_stays
from tui.session import Session
from tui.widgets.copy_block import CopyBlock
from tui.widgets.dialog import ConfirmDialog
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter

_SIGNS = {"good": ("✓", "$text-success"), "bad": ("✗", "$text-error")}


class DoneScreen(Screen[None]):
    """How an apply ended.

    Args:
        session: The deployment that is open.
        answers: The answers that were applied.
        outcome: How it ended.
        from_dashboard: Whether leaving leads to the dashboard; else it leads to the start.
    """

    help_text = (
        "What was verified, each check with its figure, and the lines that clients need. Passwords "
        "that Moorage made are shown here and nowhere else: copy them before you leave."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("done")
    DEFAULT_CSS = """
    DoneScreen #report { padding: 1 2; height: 1fr; }
    DoneScreen #report > Static { height: auto; }
    DoneScreen .heading { text-style: bold; color: $primary; margin-top: 1; }
    DoneScreen .note { color: $text-muted; margin-bottom: 1; }
    DoneScreen #verdict { text-style: bold; }
    """

    def __init__(
        self, session: Session, answers: Answers, outcome: Outcome, *, from_dashboard: bool = False
    ) -> None:
        super().__init__()
        self._from_dashboard = from_dashboard
        self._session = session
        self._answers = answers
        self._outcome = outcome
        self._leaves: Callable[[], object] | None = None

    def compose(self) -> ComposeResult:
        answers, outcome = self._answers, self._outcome
        yield HeaderBar(registry_name(answers), "Done" if outcome.is_good else "Not done")
        with VerticalScroll(id="report"):
            yield self._verdict()
            yield from self._still_to_do()
            yield from self._servers()
            is_led = outcome.name is None or outcome.name.is_good
            if not is_led:
                yield from self._registry_name()
            generated = outcome.report.generated if outcome.report else {}
            is_up = outcome.report is None or any(each.is_good for each in outcome.report.servers)
            if generated and is_up:
                yield Static("Passwords, shown only here", classes="heading")
                yield Static(
                    "Copying is up to the terminal, and some refuse: see that it has arrived.",
                    classes="note",
                )
                for name, secret in generated.items():
                    yield CopyBlock(f"Password of {name}", secret.reveal(), secret)
            if self._outcome.ended and (lost := self._made_unseen()):
                yield Static("Passwords", classes="heading")
                yield Static(
                    Content(
                        f"The password of {', '.join(lost)} was made by a run that was not "
                        "watched to its end, and is shown nowhere. If it was new, give another "
                        "one in Credentials."
                    )
                )
            if is_up:
                yield from self._clients()
            if is_led:
                yield from self._registry_name()
            yield from self._checks()
            if is_up:
                yield from self._other_clients()
                yield Static("Where to go next", classes="heading")
                yield Static(
                    "u  give more people access\nl  see what the registry says\n"
                    "moorage status, in a timer, says when something is wrong",
                    markup=False,
                )
        yield KeyFooter()

    def on_mount(self) -> None:
        """Begin on the report, which scrolls."""
        self.query_one("#report").focus()

    def _verdict(self) -> Static:
        address = registry_name(self._answers)
        if self._outcome.is_good:
            text, colour = f"✓ {address} is up.", "$text-success"
        elif self._outcome.is_rolled_back:
            words = f"○ The apply to {address} was stopped and rolled back."
            text, colour = f"{words}\n{what_stays(self._outcome)}", "$text-warning"
        else:
            text, colour = f"✗ {address} is not as it should be.", "$text-error"
        return Static(Content.styled(text, colour), id="verdict")

    def _still_to_do(self) -> ComposeResult:
        """What is not done by Apply, before everything that takes a screen to read."""
        name = self._outcome.name
        # What went wrong with the records is told at length right below.
        if name is not None and name.is_good and not name.handover.is_resolved:
            records = "; records below" if self._makes_records else ""
            line = printable(f"○ {self._where_it_leads()}{records}")
            yield Static(Content.styled(line, "$text-warning"))
        yield Static(self._kept_note(), id="kept")

    @property
    def _makes_records(self) -> bool:
        """Whether the records are made by the operator."""
        return self._answers.dns.provider == "manual"

    def _where_it_leads(self) -> str:
        """Say where the name leads that does not lead to the servers."""
        assert self._outcome.name is not None
        domain, now = self._answers.registry.domain, self._outcome.name.handover.resolves_to
        if now:
            return f"{domain} resolves to {', '.join(now)} from here"
        return f"{domain} does not resolve from here yet"

    def _servers(self) -> ComposeResult:
        report = self._outcome.report
        if report is None:
            return
        for server in report.servers:
            for warning in server.warnings:
                text = printable(f"! {server.server}: {warning}")
                yield Static(Content.styled(text, "$text-warning"))
        if report.is_good:
            return
        yield Static("Servers", classes="heading")
        for server in report.servers:
            sign, colour = _SIGNS["good" if server.is_good else "bad"]
            if self._outcome.is_rolled_back and not server.is_good:
                sign, colour = "○", "$text-warning"
            how = server_ending(server, was_stopped=self._outcome.was_stopped)
            text = f"{sign} {server.server}: {how}"
            yield Static(Content.styled(printable(text), colour))
        yield Static(
            "r goes back to Review: an apply from there works on what is not done yet.",
            classes="note",
        )

    def _clients(self) -> ComposeResult:
        answers = self._answers
        address = registry_name(answers)
        if answers.ssl.mode == "private_ca":
            yield Static("First, on every machine that uses the registry", classes="heading")
            yield Static(
                Content(f"Bring this file there as ca.pem:\n{self._authority_file()}"),
                classes="note",
            )
            yield CopyBlock("Then, for Docker", trust_for_docker(address))
            yield CopyBlock(
                "Or for everything on a Debian or Ubuntu machine",
                trust_for_system(answers.registry.domain),
            )
        yield Static("Log in and push", classes="heading")
        yield CopyBlock("Log in", login_command(answers))
        yield CopyBlock(
            "Push an image", f"docker tag IMAGE {address}/IMAGE && docker push {address}/IMAGE"
        )

    def _other_clients(self) -> ComposeResult:
        yield Static("Other clients", classes="heading")
        for snippet in snippets(self._answers):
            yield CopyBlock(snippet.title, snippet.text)

    def _made_unseen(self) -> list[str]:
        return [
            user.name
            for user in self._answers.credentials.users
            if isinstance(user.password, Generated)
        ]

    def _authority_file(self) -> Path:
        own = (
            ca.folder_of(self._answers.ssl.private_ca.name, self._answers.registry.domain)
            / "ca.pem"
        )
        report = self._outcome.report
        if own.is_file() or report is None or report.ca_certificate is None:
            return own
        copy = private_folder("ca-certificates") / f"{self._answers.registry.domain}.pem"
        write_private(copy, report.ca_certificate)
        return copy

    def _checks(self) -> ComposeResult:
        verification = self._outcome.verification
        if verification is None:
            return
        yield Static("What was checked", classes="heading")
        checks = _grouped(verification.checks)
        width = max((len(check.name) for check in checks if check.status != "skipped"), default=0)
        server = ""
        for check in checks:
            if check.server != server:
                server = check.server
                yield Static(Content.styled(f"  {printable(server)}", "$text-muted"))
            yield _check_line(check, width)

    def _registry_name(self) -> ComposeResult:
        """Where the registry's name leads to, and what it needs."""
        name = self._outcome.name
        if name is None:
            return
        domain = self._answers.registry.domain
        yield Static("The registry's name", classes="heading")
        if name.problem is not None:
            yield _sign("✗", f"The records were not changed: {describe_error(name.problem)}")
        if name.was_left_out:
            yield _sign("!", "The records were not made, as the checks were left out; r leads to "
                        "another apply.")  # fmt: skip
        if name.report is not None:
            for change in name.report.changes:
                yield Static(Content(printable("\n".join(f"  {line}" for line in change.diff))))
            for line in report_lines(name.report):
                yield _sign(line[0], line[2:])
        if name.handover.is_resolved:
            yield _sign("✓", f"{domain} leads to {', '.join(name.handover.resolves_to)} from here")
            return
        yield _sign("○", self._where_it_leads())
        if name.handover.no_records is not None:
            yield _sign("!", str(name.handover.no_records))
        elif self._makes_records:
            records = "\n".join(line for each in name.handover.records for line in each.lines())
            yield CopyBlock("Records to make where the domain is managed", records)

    def _kept_note(self) -> Content:
        path = self._session.path
        if path is None:
            return Content.styled("○ The answers are not saved to a file: Ctrl+S", "$text-warning")
        if not self._session.is_saved:
            what = "what was applied" if self._outcome.is_good else "what was typed"
            text = printable(f"○ {path} does not hold all of {what}: Ctrl+S saves it")
            return Content.styled(text, "$text-warning")
        return Content.styled(printable(f"The answers are in {path}"), "$text-muted")

    @on(AnswersSaved)
    def _saved(self, message: AnswersSaved) -> None:
        kept = self.query_one("#kept", Static)
        kept.update(Content.styled(printable(f"✓ {message.text}"), "$text-success"))
        kept.scroll_visible(animate=False)
        leaves, self._leaves = self._leaves, None
        if leaves is not None:
            self.ask_to_leave(leaves)

    def action_save(self) -> None:
        """Save the answers."""
        self._leaves = None
        self.post_message(SaveWanted())

    def action_users(self) -> None:
        """Manage who may log in."""
        self._after_asking(lambda: self.post_message(UsersWanted()))

    def action_logs(self) -> None:
        """Follow the logs."""
        self.post_message(LogsWanted())

    def action_review(self) -> None:
        """Go back to Review."""
        self._after_asking(lambda: self.dismiss(None))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key is said to lead where it leads."""
        leads_there = {
            "leave": not self._from_dashboard,
            "leave_for_dashboard": self._from_dashboard,
        }
        return leads_there.get(action, True)

    def action_leave(self) -> None:
        """Go to the start."""
        self.ask_to_leave(lambda: self.post_message(GoBack()))

    def action_leave_for_dashboard(self) -> None:
        """Go back to the dashboard."""
        self.action_leave()

    def ask_to_leave(self, then: Callable[[], object], *, ends: bool = False) -> None:
        """Leave, once it is clear what that loses.

        Args:
            then: What leaves.
            ends: Whether the wizard ends, and with it what was typed in secret.
        """
        self._leaves = None
        if self._session.path is not None:
            if ends and self._session.draft.has_typed_secrets:
                self._confirm(then, f"{self._uncopied} {_TYPED}".strip(), "Leave")
            else:
                self._after_asking(then)
            return
        typed = _TYPED if ends and self._session.draft.has_typed_secrets else ""

        def answered(answer: str | None) -> None:
            if answer == "leave":
                then()
            elif answer == "save":
                self.action_save()
                self._leaves = then

        texts = (self._uncopied, typed, _NOT_IN_A_FILE)
        self.app.push_screen(LeaveDialog([text for text in texts if text]), answered)

    @property
    def _uncopied(self) -> str:
        """What is lost of the passwords that are shown, in words; empty when nothing is."""
        lost = [block for block in self.query(CopyBlock) if block.holds_secret]
        return "" if all(block.is_copied for block in lost) else _SHOWN_ONCE

    def _after_asking(self, then: Callable[[], object]) -> None:
        if text := self._uncopied:
            self._confirm(then, f"{text} Are they kept somewhere?", "They are kept")
        else:
            then()

    def _confirm(self, then: Callable[[], object], text: str, accept: str) -> None:
        def answered(leave: bool | None) -> None:
            if leave:
                then()

        self.app.push_screen(ConfirmDialog("Passwords", text, accept, careful=True), answered)


_SHOWN_ONCE = "The passwords are shown only here, and not every one was copied."
_TYPED = "Typed passwords and keys are not kept: they have to be typed again."
_NOT_IN_A_FILE = (
    "The answers are not saved to a file. They are not lost: Moorage keeps them on this machine, "
    "without secrets, and lists this deployment at its start. A file can be kept in version "
    "control, and is what 'moorage apply FILE' takes."
)


def _sign(sign: str, text: str) -> Indented:
    """A line with its sign, in the sign's colour."""
    colours = {"✓": "$text-success", "✗": "$text-error", "!": "$text-warning"}
    colour = colours.get(sign, "$text-muted")
    words = Content.styled(printable(text), colour)
    return Indented(Content.styled(f"  {sign} ", colour), words)


def _grouped(checks: Sequence[Check]) -> list[Check]:
    """The checks, with neighbours that were skipped for the same reason made one."""
    grouped: list[Check] = []
    for check in checks:
        last = grouped[-1] if grouped else None
        if (
            last is not None
            and check.status == "skipped"
            and (last.server, last.status, last.detail) == (check.server, "skipped", check.detail)
        ):
            grouped[-1] = replace(last, name=f"{last.name}, {check.name}")
        else:
            grouped.append(check)
    return grouped


def _check_line(check: Check, width: int) -> Indented:
    sign, colour = _SIGNS.get(check.status, ("-", "$text-muted"))
    head = Content.styled(f"  {sign} ", colour)
    if check.status == "skipped":
        text = printable(f"not checked: {check.name}\n{check.detail}")
        return Indented(head, Content.styled(text, colour))
    detail = printable(" ".join(check.detail.split()))
    return Indented(
        head + Content(f"{check.name:<{width}}  "),
        Content.styled(detail, "" if check.status == "good" else colour),
    )
