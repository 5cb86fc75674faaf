"""Done: what was checked, the passwords, and how clients log in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Footer, Static

from moorage.answers.model import Answers
from moorage.answers.secrets import Generated, Secret
from moorage.deploy import private_ca
from moorage.deploy.events import STEPS
from moorage.deploy.verify import Check
from moorage.deploy.visible import visible
from moorage.state import private_folder, write_private
from tui.engine import Outcome
from tui.messages import AnswersSaved, GoBack, SaveWanted
from tui.session import Session
from tui.widgets.dialog import ConfirmDialog
from tui.widgets.header import HeaderBar

_SIGNS = {"good": ("✓", "$text-success"), "bad": ("✗", "$text-error")}


class CopyBlock(Vertical):
    """Lines to copy below a title, with a button that does.

    Args:
        title: What the lines are for.
        text: What is shown and copied.
        secret: Copied instead of the text, for a password shown with its user.
    """

    DEFAULT_CSS = """
    CopyBlock { height: auto; margin-bottom: 1; }
    CopyBlock .copy--title { height: 1; }
    CopyBlock .copy--title Static { width: 1fr; height: 1; }
    CopyBlock .copy--text { height: auto; padding: 0 1; background: $panel; }
    CopyBlock Button { width: 8; min-width: 8; }
    """

    def __init__(self, title: str, text: str, secret: Secret | None = None) -> None:
        super().__init__()
        self._title = title
        self.text = text
        self._secret = secret
        self.is_copied = False

    @property
    def holds_secret(self) -> bool:
        """Whether a password is shown here."""
        return self._secret is not None

    def compose(self) -> ComposeResult:
        with Horizontal(classes="copy--title"):
            yield Static(Content(self._title))
            yield Button("Copy", compact=True)
        yield Static(Content(self.text), classes="copy--text")

    @on(Button.Pressed)
    def _copy(self, event: Button.Pressed) -> None:
        event.stop()
        self.app.copy_to_clipboard(self._secret.reveal() if self._secret else self.text)
        self.is_copied = True
        event.button.label = "Copied"


class DoneScreen(Screen[None]):
    """How an apply ended.

    Args:
        session: The deployment that is open.
        answers: The answers that were applied.
        outcome: How it ended.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save the answers"),
        Binding("r", "review", "Back to Review"),
        Binding("escape,enter", "leave", "To the start"),
    ]
    DEFAULT_CSS = """
    DoneScreen #report { padding: 1 2; height: 1fr; }
    DoneScreen #report > Static { height: auto; }
    DoneScreen .heading { text-style: bold; color: $primary; margin-top: 1; }
    DoneScreen .note { color: $text-muted; margin-bottom: 1; }
    DoneScreen #kept { margin: 1 0; }
    DoneScreen #verdict { text-style: bold; margin-bottom: 1; }
    """

    def __init__(self, session: Session, answers: Answers, outcome: Outcome) -> None:
        super().__init__()
        self._session = session
        self._answers = answers
        self._outcome = outcome

    def compose(self) -> ComposeResult:
        answers, outcome = self._answers, self._outcome
        yield HeaderBar(answers.registry.domain, "Done" if outcome.is_good else "Not done")
        with VerticalScroll(id="report"):
            yield self._verdict()
            yield from self._servers()
            generated = outcome.report.generated if outcome.report else {}
            is_up = outcome.report is None or any(each.is_good for each in outcome.report.servers)
            if generated and is_up:
                yield Static("Passwords, shown only here", classes="heading")
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
            yield from self._checks()
            yield Static(self._kept_note(), id="kept", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin on the report, which scrolls."""
        self.query_one("#report").focus()

    def _verdict(self) -> Static:
        domain = self._answers.registry.domain
        if self._outcome.is_good:
            text, colour = f"✓ {domain} is up.", "$text-success"
        else:
            text, colour = f"✗ {domain} is not as it should be.", "$text-error"
        return Static(Content.styled(text, colour), id="verdict")

    def _servers(self) -> ComposeResult:
        report = self._outcome.report
        if report is None or report.is_good:
            return
        yield Static("Servers", classes="heading")
        for server in report.servers:
            sign, colour = _SIGNS["good" if server.is_good else "bad"]
            step = STEPS.get(server.step, server.step).lower()
            at = f" at: {step}" if step and not server.is_good else ""
            text = f"{sign} {server.server}: {server.status}{at}. {server.message}"
            yield Static(Content.styled(visible(text), colour))
        yield Static(
            "r goes back to Review: an apply from there works on what is not done yet.",
            classes="note",
        )

    def _clients(self) -> ComposeResult:
        answers = self._answers
        address = registry_address(answers)
        user = next(
            (each.name for each in answers.credentials.users if each.access == "push"),
            answers.credentials.users[0].name,
        )
        if answers.ssl.mode == "private_ca":
            yield Static("First, on every machine that uses the registry", classes="heading")
            yield Static(Content(f"Copy {self._authority_file()} there as ca.pem."), classes="note")
            yield CopyBlock("Then, for Docker", trust_for_docker(address))
            yield CopyBlock(
                "Or for everything on a Debian or Ubuntu machine",
                trust_for_system(answers.registry.domain),
            )
        yield Static("Log in and push", classes="heading")
        yield CopyBlock("Log in", f"docker login {address} -u {user}")
        yield CopyBlock(
            "Push an image", f"docker tag IMAGE {address}/IMAGE && docker push {address}/IMAGE"
        )

    def _made_unseen(self) -> list[str]:
        return [
            user.name
            for user in self._answers.credentials.users
            if isinstance(user.password, Generated)
        ]

    def _authority_file(self) -> Path:
        own = (
            private_ca.folder_of(self._answers.ssl.private_ca.name, self._answers.registry.domain)
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
                yield Static(Content.styled(f"  {visible(server)}", "$text-muted"))
            yield Static(_check_line(check, width))

    def _kept_note(self) -> str:
        path = self._session.path
        return f"The answers are in {path}." if path else "The answers are not saved yet: Ctrl+S."

    @on(AnswersSaved)
    def _saved(self) -> None:
        self.query_one("#kept", Static).update(Content(self._kept_note()))

    def action_save(self) -> None:
        """Save the answers."""
        self.post_message(SaveWanted())

    def action_review(self) -> None:
        """Go back to Review."""
        self._after_asking(lambda: self.dismiss(None))

    def action_leave(self) -> None:
        """Go to the start."""
        self._after_asking(lambda: self.post_message(GoBack()))

    def _after_asking(self, then: object) -> None:
        assert callable(then)
        lost = [block for block in self.query(CopyBlock) if block.holds_secret]
        if all(block.is_copied for block in lost):
            then()
            return

        def answered(leave: bool | None) -> None:
            if leave:
                then()

        self.app.push_screen(
            ConfirmDialog(
                "Passwords",
                "The passwords are shown only here, and not every one was copied. "
                "Are they kept somewhere?",
                "They are kept",
            ),
            answered,
        )


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


def _check_line(check: Check, width: int) -> Content:
    sign, colour = _SIGNS.get(check.status, ("-", "$text-muted"))
    if check.status == "skipped":
        text = f"  {sign} not checked: {check.name}\n    {check.detail}"
        return Content.styled(visible(text), colour)
    detail = " ".join(check.detail.split())
    return (
        Content.styled(f"  {sign} ", colour)
        + Content(f"{check.name:<{width}}  ")
        + Content.styled(visible(detail), "" if check.status == "good" else colour)
    )


def registry_address(answers: Answers) -> str:
    """Return what people put before their images: the name, with the port when it is not 443."""
    registry = answers.registry
    usual = 80 if answers.ssl.mode == "none" else 443
    return registry.domain if registry.port == usual else f"{registry.domain}:{registry.port}"


def trust_for_docker(address: str) -> str:
    """Return the lines that make Docker trust the private CA, with ca.pem in the folder."""
    folder = f"/etc/docker/certs.d/{address}"
    return f"sudo mkdir -p {folder}\nsudo cp ca.pem {folder}/ca.crt"


def trust_for_system(domain: str) -> str:
    """Return the lines that make a Debian or Ubuntu machine trust the private CA."""
    return (
        f"sudo cp ca.pem /usr/local/share/ca-certificates/{domain}.crt\nsudo update-ca-certificates"
    )
