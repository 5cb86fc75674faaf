"""Dashboard: the status of a deployment, and the screens to work on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.timer import Timer
from textual.widgets import Button

from moorage.answers.recorded import RecordedServer
from moorage.deploy.clients import Access, client_setups
from moorage.deploy.operations import OpenTransport, Operations
from moorage.deploy.overview import Health, look, overview_of
from moorage.deploy.status import ServerStatus, Status
from moorage.deploy.status_rows import status_rows
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.recents import UNFINISHED
from moorage.rows import Level
from moorage.servers.transport import Cancel
from moorage.unseen_passwords import unseen_passwords
from tui.actions import bindings
from tui.document import store
from tui.document.unapplied import is_older, not_applied
from tui.labels import describe_error, explain
from tui.messages import (
    AttachRequested,
    BackRequested,
    ImagesRequested,
    LogsRequested,
    SettingsRequested,
    UsersRequested,
)
from tui.questions.asker import WizardAsker
from tui.signs import COLOURS, HEALTH_SIGNS
from tui.tasks import in_thread
from tui.widgets.copy_block import CopyDialog, setup_block
from tui.widgets.dialog import NoteDialog
from tui.widgets.header import HeaderBar
from tui.widgets.indented import Indented
from tui.widgets.key_footer import KeyFooter
from tui.wizard_session import WizardSession


class DashboardScreen(Screen[None]):
    """Reads the servers when it is opened, once a minute, and on demand.

    Args:
        session: The deployment that is open.
        open_transport: Opens a connection; None goes over SSH.
    """

    help_text = (
        "The status of every server: the registry and its version, nginx, the certificate, the "
        "disk, and whether files that Moorage wrote were edited. Reading it changes nothing. "
        "Settings opens the wizard with these answers; Review shows what an apply would change."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("dashboard")
    DEFAULT_CSS = """
    DashboardScreen #dashboard { padding: 1 2; height: 1fr; }
    DashboardScreen #verdict Static { text-style: bold; }
    DashboardScreen #pending { color: $text-warning; display: none; }
    DashboardScreen #unverified { color: $text-warning; display: none; }
    DashboardScreen #unseen { color: $text-warning; display: none; }
    DashboardScreen #servers { height: auto; margin-top: 1; }
    DashboardScreen .server {
        height: auto; background: $surface; padding: 0 2; margin-bottom: 1;
    }
    DashboardScreen #buttons { height: 1; margin: 0 2 1 2; }
    DashboardScreen #buttons Button { margin-right: 2; }
    """

    REFRESH: ClassVar[float] = 60.0
    """Seconds after which the servers are read again."""

    def __init__(self, session: WizardSession, open_transport: OpenTransport | None = None) -> None:
        super().__init__()
        self._session = session
        self._open_transport = open_transport
        self._status: Status | None = None
        self._cancel = Cancel()
        self._seconds = 0
        self._timer: Timer | None = None
        self._is_covered = False

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._session.draft.registry_name, "Dashboard")
        with VerticalScroll(id="dashboard"):
            yield Indented(id="verdict")
            yield Indented(id="pending")
            yield Indented(id="unverified")
            yield Indented(id="unseen")
            yield Vertical(id="servers")
        with Horizontal(id="buttons"):
            yield Button("Settings", id="settings", variant="primary", compact=True)
            yield Button("Review", id="review", compact=True)
            yield Button("Users", id="users", compact=True)
            yield Button("Images", id="images", compact=True)
            yield Button("Logs", id="logs", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the first button."""
        self.query_one("#settings").focus()
        report = self.query_one("#dashboard")
        self.watch(report, "show_vertical_scrollbar", self.refresh_bindings, init=False)
        self.set_interval(self.REFRESH, self._refresh)

    def on_screen_resume(self) -> None:
        """Read the servers again, unless only a dialog was closed."""
        if not self._is_covered:
            self._show_pending()
            self.action_look()
        self._is_covered = False

    def _show_pending(self) -> None:
        """Show how many settings differ from what was applied, and which side is older."""
        draft, read = self._session.draft, self._session.read
        count = len(not_applied(draft, read))
        if self._status is not None and self._status.has_answers:
            count = 0  # an apply whose end this wizard did not see
        shown = self.query_one("#pending", Indented)
        shown.display = count > 0
        settings = f"{count} setting{'s' if count != 1 else ''}"
        sign, text = "○ ", f"{settings} changed but not applied. Press v to review."
        if is_older(draft, read):
            sign = "! "
            text = (
                "These answers are older than what was applied. Applying them would undo "
                f"{settings}. Press v to review."
            )
        shown.show(Content(sign), Content(text))

    def _show_unseen(self, status: Status) -> None:
        """Show whose generated password was never shown, and how to set another one."""
        names = unseen_passwords(self._session.draft.domain)
        shown = self.query_one("#unseen", Indented)
        shown.display = bool(names) and any(server.is_deployed for server in status.servers)
        whose = f"Password{'s' if len(names) > 1 else ''} of {', '.join(names)}"
        text = (
            f"{whose}: generated by an apply whose end was not seen, and Moorage cannot show "
            "generated passwords again. To set new ones, press u, select the user and press p."
        )
        shown.show(Content("! "), Content(printable(text)))

    @property
    def _is_unverified(self) -> bool:
        """Whether the servers have these answers, but nobody saw the checks after the apply."""
        if self._status is None or not self._status.has_answers or self._has_run:
            return False
        return store.state_of(self._session.path or self._session.draft_file) == UNFINISHED

    def _show_unverified(self) -> None:
        shown = self.query_one("#unverified", Indented)
        shown.display = self._is_unverified
        text = (
            "The last apply has ended, but its end was not seen: the registry has not been "
            "verified. Press t to verify it."
        )
        shown.show(Content("! "), Content(text))

    def on_screen_suspend(self) -> None:
        """Stop reading when another screen is opened."""
        # A dialog can have closed before this message is processed.
        self._is_covered = self.app.screen is self or isinstance(self.app.screen, ModalScreen)
        if not self._is_covered:
            self._stop_reading()

    def on_unmount(self) -> None:
        """Stop reading."""
        self._stop_reading()

    def _stop_reading(self) -> None:
        self.workers.cancel_group(self, "look")
        self._cancel.set()
        self._stop_clock()

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.stop()

    def _refresh(self) -> None:
        """Read the servers again in the background, unless they are being read."""
        is_reading = any(each.group == "look" and not each.is_finished for each in self.workers)
        if self.app.screen is not self or self._status is None or is_reading:
            return
        with suppress(MoorageError):
            answers = self._session.draft.answers_to_look()
            self._cancel = cancel = Cancel()
            asker, opener = self._session.operations.asker, self._open_transport
            quiet = asker.quiet() if isinstance(asker, WizardAsker) else None
            self._look(lambda: look(answers, quiet, opener, cancel))

    def action_look(self) -> None:
        """Read the servers."""
        self._stop_reading()
        try:
            answers = self._session.draft.answers_to_look()
        except MoorageError as error:
            text = printable(f"The answers are incomplete: {describe_error(error)}")
            self._say("✗ ", text, "$text-error")
            return
        self._cancel = cancel = Cancel()
        asker, opener = self._session.operations.asker, self._open_transport
        self._seconds = 0
        self._timer = self.set_interval(1, self._tick)
        self._say("", f"Reading {self._names()}")
        self._look(lambda: look(answers, asker, opener, cancel))

    @work(group="look")
    async def _look(self, read: Callable[[], Status]) -> None:
        asker = self._session.operations.asker
        try:
            self._status = status = await in_thread(read)
        except MoorageError as error:
            self._stop_clock()
            asker.forget_refused(error)
            self._say("✗ ", printable(describe_error(error)), "$text-error")
            return
        self._stop_clock()
        asker.forget_refused(*status.unreached)
        await self._show(status)

    def _names(self) -> str:
        rows = self._session.draft.items("servers")
        return ", ".join(printable(str(row.get("host", ""))) for row in rows)

    def _tick(self) -> None:
        self._seconds += 1
        self._say("", f"Reading {self._names()}, {self._seconds} s (Escape: back)")

    def _say(self, sign: str, text: str, colour: str = "") -> None:
        verdict = self.query_one("#verdict", Indented)
        verdict.show(Content.styled(sign, colour), Content.styled(text, colour))

    async def _show(self, status: Status) -> None:
        self._note_tests(status)
        overview = overview_of(status)
        if overview.health is Health.ATTENTION:  # the problems are listed below, by server
            overview = replace(overview, detail="")
        sign, colour = HEALTH_SIGNS[overview.health]
        name = self._session.draft.registry_name
        as_of = f"as of {time.strftime('%H:%M:%S')}"
        self._say(f"{sign} ", f"{name}: {printable(overview.text)} ({as_of})", colour)
        self._show_pending()
        self._show_unverified()
        self._show_unseen(status)
        place = self.query_one("#servers")
        await place.remove_children()
        await place.mount(
            *(Vertical(*_server_lines(each), classes="server") for each in status.servers),
            *(Vertical(*_error_lines(each), classes="server") for each in status.unreached),
            *(Vertical(*_other_lines(each), classes="server") for each in status.others),
        )
        self.refresh_bindings()

    def action_scroll(self, where: str) -> None:
        """Scroll the report."""
        report = self.query_one("#dashboard")
        {
            "page_down": report.scroll_page_down,
            "page_up": report.scroll_page_up,
            "down": report.scroll_down,
            "up": report.scroll_up,
        }[where](animate=False)

    def _note_tests(self, status: Status) -> None:
        """Record the servers as tested, so that Settings need not test them again."""
        tested = self._session.tested
        for server in status.servers:
            if not tested.get(server.server, (False, ""))[0]:
                tested[server.server] = (True, f"{server.os_name}, checked on the dashboard")
        for error in status.unreached:
            if error.server is not None:
                tested[error.server] = (False, explain(error))

    @property
    def _has_run(self) -> bool:
        """Whether a run is in progress on any server."""
        servers = self._status.servers if self._status else ()
        return any(each.run is not None and each.run.running for each in servers)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to follow a run while there is one, and to scroll what does not fit."""
        if action == "scroll":
            return self.is_mounted and self.query_one("#dashboard").show_vertical_scrollbar
        if action == "verify":
            return self._is_unverified
        return self._has_run if action == "follow" else True

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        {
            "settings": self.action_settings,
            "review": self.action_review,
            "users": self.action_users,
            "images": self.action_images,
            "logs": self.action_logs,
        }[event.button.id or "settings"]()

    def action_settings(self) -> None:
        """Open the wizard on these answers."""
        self.post_message(SettingsRequested())

    def action_review(self) -> None:
        """Show what an apply would change."""
        self.post_message(SettingsRequested(reviews=True))

    def action_users(self) -> None:
        """Manage the users."""
        self.post_message(UsersRequested())

    def action_images(self) -> None:
        """Show the images and the space they take up."""
        self.post_message(ImagesRequested())

    def action_logs(self) -> None:
        """Follow the logs."""
        self.post_message(LogsRequested())

    @work(exclusive=True, group="clients")
    async def action_clients(self) -> None:
        """Show what to paste on clients."""
        draft, asker = self._session.draft, self._session.operations.asker
        operations = Operations(asker, lambda event: None, self._open_transport)

        def read() -> Access:
            operations.open(draft.answers_to_look())
            try:
                return operations.client_access()
            finally:
                operations.deployment.close()

        try:
            access = await in_thread(read)
        except MoorageError as error:
            self.app.push_screen(NoteDialog("Clients", describe_error(error)))
            return
        blocks = [setup_block(each) for each in client_setups(access)]
        self.app.push_screen(CopyDialog("Clients", _ABOUT_CLIENTS, blocks))

    def action_follow(self) -> None:
        """Follow the run in progress."""
        self.post_message(AttachRequested())

    def action_verify(self) -> None:
        """Check the registry, as after an apply."""
        self.post_message(AttachRequested())

    def action_back(self) -> None:
        """Go to the start."""
        self.post_message(BackRequested())


_ABOUT_CLIENTS = (
    "Paste the lines on the client, as root or as a user with sudo. They contain no secret: the "
    "login asks for the password."
)


def _server_lines(server: ServerStatus) -> Iterator[Indented]:
    """Yield the status of a server."""
    if server.is_healthy:
        yield _name_line("✓", "$text-success", server.server, f"  {server.os_name}")
    else:
        yield _name_line("!", "$text-warning", server.server, f"  {server.os_name}")
    rows = status_rows(server)
    width = max((len(row.label) for row in rows), default=0)
    for row in rows:
        head = Content.styled(f"  {row.label:<{width}}  ", "$text-muted")
        colour = COLOURS[row.level] if row.level in {Level.WARNING, Level.BAD} else ""
        yield Indented(head, Content.styled(printable(row.text), colour))
    for problem in server.problems:
        text = Content.styled(printable(explain(problem)), "$text-warning")
        yield Indented(Content.styled("  ✗ ", "$text-warning"), text)


def _error_lines(error: MoorageError) -> Iterator[Indented]:
    yield _name_line("✗", "$text-error", error.server or "")
    yield Indented(Content("  "), Content.styled(printable(explain(error)), "$text-error"))


def _other_lines(other: RecordedServer) -> Iterator[Indented]:
    yield _name_line("○", "$text-muted", other.destination)
    yield Indented(Content("  "), Content("recorded as another server; not connected to"))


def _name_line(sign: str, colour: str, server: str, os_name: str = "") -> Indented:
    name = Content.styled(printable(server), "bold")
    return Indented(
        Content.styled(f"{sign} ", colour),
        name + Content.styled(printable(os_name), "$text-muted"),
    )
