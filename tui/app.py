"""The application: opens and saves deployments, and connects screens, engine and operator."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.notifications import Notify, SeverityLevel
from textual.screen import Screen
from textual.worker import WorkerFailed

from moorage.errors import ExitCode, MoorageError
from tui import theme
from tui.actions import bindings, without_keys
from tui.deployment_app import DeploymentApp
from tui.document import store
from tui.key_queue import let_alt_numbers_through
from tui.messages import (
    AppliedFound,
    ApplyEnded,
    ApplyRequested,
    AttachRequested,
    BackRequested,
    ConnectRequested,
    DraftChanged,
    EngineEvents,
    FileRequested,
    ImagesRequested,
    LogsRequested,
    NewRequested,
    QuestionAsked,
    SaveRequested,
    SettingsRequested,
    Uninstalled,
    UsersChanged,
    UsersRequested,
)
from tui.opening import Opening
from tui.palette import actions_of_screen, commands_of_screen, theme_commands
from tui.saving import Saving
from tui.toasts import LOOK, BriefNotice

if TYPE_CHECKING:
    from textual.command import Provider

    from moorage.answers.model import Answers
    from moorage.deploy.operations import OpenTransport
    from tui.questions.asker import Answer, Question


def _palette_commands() -> type[Provider]:
    """Return the palette's commands; importing them here keeps the start fast."""
    from tui.palette_search import CommandSearch

    return CommandSearch


class WizardApp(DeploymentApp):
    """The wizard.

    Args:
        path: An answers file to open at once.
        prefill: Answers to begin with instead.
        users: Whether to begin with the users.
        servers: The addresses and the key file (or empty) of servers to read instead of a file.
        open_transport: Opens a connection; tests pass one without SSH.
        large_upload: Whether the checks send over 100 MB to each server.
    """

    TITLE = "Moorage"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    COMMANDS = {_palette_commands}  # noqa: RUF012 # Textual declares it so
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 # Textual declares it so
        (0, "-narrow"),
        (120, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 # Textual declares it so
        (0, "-low"),
        (30, "-high"),
    ]
    CSS = (
        theme.STYLE
        + """
    WizardFrame #next { min-width: 11; }
    WizardFrame.-narrow ReviewPane.-planned #messages { max-height: 5; margin: 1 0 0 0; }
    WizardFrame.-narrow ReviewPane #detail { height: 75%; }
    WizardFrame.-wide ReviewPane #plan { layout: horizontal; }
    WizardFrame.-wide ReviewPane PlanTree {
        width: 2fr; height: 1fr; max-width: 48;
    }
    WizardFrame.-wide ReviewPane #detail { width: 3fr; height: 1fr; }
    """
    )

    def __init__(
        self,
        path: Path | None = None,
        *,
        prefill: Answers | Mapping[str, Any] | None = None,
        users: bool = False,
        servers: tuple[tuple[str, ...], str] | None = None,
        open_transport: OpenTransport | None = None,
        large_upload: bool = True,
    ) -> None:
        super().__init__()
        self.saving = Saving(self)
        self.opening = Opening(self, self.saving, open_transport)
        # Before anything is styled, so that it is styled once.
        for each in theme.THEMES:
            self.register_theme(each)
        self.set_reactive(App.theme, theme.usual_theme(self.console.color_system))
        self.stylesheet.set_variables(self.get_css_variables())
        self._path = path
        self._prefill = prefill
        self._begins_with_users = users
        self._servers = servers
        self._large_upload = large_upload
        self.crash: MoorageError | None = None
        self._asking = asyncio.Lock()

    def get_default_screen(self) -> Screen[None]:
        """Return the start screen."""
        return self.opening.start_screen()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return Moorage's own variables, which exist before one of its themes is in use."""
        return dict(theme.DARK.variables)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a toast that always goes away; see :class:`BriefNotice`."""
        seconds = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        self.post_message(Notify(BriefNotice(message, title, severity, seconds, markup=markup)))

    @on(Notify)
    def _look_after_toasts(self) -> None:
        """Repaint the screen once the toasts are gone.

        On a busy machine, Textual sometimes does not repaint the area below a toast.
        """
        if not self.screen_stack:  # the application is closing
            return
        if self._notifications or self.screen.query("Toast"):
            self.set_timer(LOOK, self._look_after_toasts)
        else:
            self.set_timer(LOOK, self.refresh)

    def on_mount(self) -> None:
        """Open what the command line asked for; else the start screen stays."""
        self.set_interval(0.05, self._pump)
        self.opening.load_the_rest()
        users = self._begins_with_users
        if self._path is not None:
            self.post_message(FileRequested(str(self._path), users=users))
        elif self._servers is not None:
            self.post_message(ConnectRequested(*self._servers, users=users))
        elif users:
            self.run_worker(self.opening.open_users_of_recent())
        elif self._prefill is not None:
            from moorage.answers.model import Answers
            from tui.document.draft import Draft

            filled = self._prefill
            draft = Draft.from_answers(filled) if isinstance(filled, Answers) else Draft(filled)
            self.opening.open_draft(draft, store.new_draft_file())

    # --- requests from screens ------------------------------------------------------------

    @on(NewRequested)
    def _open_new(self) -> None:
        self.opening.open_new()

    @on(FileRequested)
    @work
    async def _open_file(self, event: FileRequested) -> None:
        await self.opening.open_file(Path(event.path), users=event.users)

    @on(ConnectRequested)
    @work
    async def _connect(self, event: ConnectRequested) -> None:
        await self.opening.connect(event.addresses, event.key, users=event.users)

    @on(SettingsRequested)
    @work
    async def _open_settings(self, event: SettingsRequested) -> None:
        await self.opening.open_settings(reviews=event.reviews, at=event.at)

    @on(UsersRequested)
    async def _show_users(self) -> None:
        await self.opening.show_users()

    @on(UsersChanged)
    @work
    async def _follow_users(self, event: UsersChanged) -> None:
        from moorage.users.answers_sync import UsersChange

        await self.opening.follow_users(
            UsersChange(event.before, event.after, event.listed, revisions=event.revisions)
        )

    @on(LogsRequested)
    def _open_logs(self, event: LogsRequested) -> None:
        self.opening.open_logs(event.rows)

    @on(ImagesRequested)
    def _open_images(self, event: ImagesRequested) -> None:
        self.opening.open_images(event.repository)

    @on(DraftChanged)
    def _draft_changed(self) -> None:
        self.saving.draft_changed()

    @on(Uninstalled)
    def _uninstalled(self) -> None:
        self.saving.know_revision(None)

    @on(SaveRequested)
    @work
    async def _save(self) -> None:
        await self.saving.save()

    @on(AppliedFound)
    def _applied_found(self, event: AppliedFound) -> None:
        from tui.wizard.frame import WizardFrame

        self.saving.note_applied(event.at, is_hearsay=event.is_hearsay, revision=event.revision)
        if isinstance(self.screen, WizardFrame):
            self.screen.forget_applied()

    # --- applying ------------------------------------------------------------------------

    @on(ApplyRequested)
    def _apply(self) -> None:
        from screens.apply.screen import ApplyScreen

        if self.session is not None:
            self.saving.note_apply_began()
            self.push_screen(
                ApplyScreen(self.session, large_upload=self._large_upload), self._read_again
            )

    @on(AttachRequested)
    def _follow_runs(self) -> None:
        from screens.apply.screen import ApplyScreen

        if self.session is not None:
            self.push_screen(ApplyScreen(self.session, attaches=True), self._read_again)

    @on(ApplyEnded)
    def _apply_over(self) -> None:
        from screens.apply.screen import ApplyScreen
        from screens.dashboard.screen import DashboardScreen
        from screens.done.screen import DoneScreen

        session = self.session
        if session is None or not isinstance(self.screen, ApplyScreen):
            return
        outcome = session.operations.outcome
        if outcome is None:
            self.screen.dismiss(None)
            return
        kept = session.path or session.draft_file
        failed = "last apply stopped" if outcome.is_rolled_back else "last apply failed"
        state = "applied" if outcome.is_good else failed
        if kept.is_file():
            store.remember(kept, session.draft.domain, state=state,
                             is_draft=session.path is None)  # fmt: skip
        if outcome.report is not None:
            self.saving.follow_run(outcome)
        elif outcome.is_good and session.operations.plan is not None:
            self.saving.know_revision(session.operations.plan.revision.number)
        answers = session.draft.answers()
        session.is_applied = outcome.is_good
        if outcome.is_good:
            store.keep_applied(session.draft)
            session.read = None
        self.pop_screen()
        # The plan in Review is outdated now, so going back there reads the servers again.
        from_dashboard = any(isinstance(each, DashboardScreen) for each in self.screen_stack)
        done = DoneScreen(session, answers, outcome, from_dashboard=from_dashboard)
        self.push_screen(done, self._read_again)

    @on(BackRequested)
    def _to_the_start(self) -> None:
        from screens.dashboard.screen import DashboardScreen
        from screens.done.screen import DoneScreen
        from screens.users.screen import UsersScreen
        from tui.wizard.frame import WizardFrame

        # The start screen lists saved drafts as soon as it is back.
        self.saving.keep_draft()
        if isinstance(self.screen, DashboardScreen | UsersScreen):
            self.pop_screen()
        elif isinstance(self.screen, DoneScreen):
            self.pop_screen()
            if isinstance(self.screen, WizardFrame):
                self.screen.dismiss(None)

    def _read_again(self, _result: None) -> None:
        """Read the servers again after an apply or its report.

        A callback, because a worker would leave a moment between the two in which a key reaches
        Review below them.
        """
        from screens.review.step import ReviewPane
        from tui.wizard.frame import WizardFrame

        if isinstance(self.screen, WizardFrame):
            self.screen.forget_applied()
            if isinstance(self.screen.pane, ReviewPane):
                self.screen.pane.action_plan()

    # --- the engine's threads ------------------------------------------------------------

    def _pump(self) -> None:
        """Pass events from the servers to the screen that shows them, up to 20 times a second."""
        session = self.session
        if session is None:
            return
        happened = session.events.take()
        if not happened:
            return
        from screens.apply.screen import ApplyScreen
        from tui.wizard.frame import WizardFrame

        for screen in reversed(self.screen_stack):
            if isinstance(screen, WizardFrame | ApplyScreen):
                screen.post_message(EngineEvents(happened))
                return

    @on(QuestionAsked)
    @work
    async def _ask(self, event: QuestionAsked) -> None:
        """Show a question once the earlier ones have been answered."""
        question = event.question
        async with self._asking:
            if not question.is_settled:  # its thread has not given up
                question.settle(await self._answer(question))

    async def _answer(self, question: Question) -> Answer:
        from moorage.servers.transport import HostKey, LoginRequest
        from tui.questions.dialogs import HostKeyDialog, LoginDialog, SecretDialog

        subject = question.subject
        if isinstance(subject, HostKey):
            return await self.push_screen_wait(HostKeyDialog(subject))
        if not isinstance(subject, LoginRequest):
            dialog = SecretDialog(*subject, is_repeated=question.is_repeated)
            return await self.push_screen_wait(dialog)
        answer = await self.push_screen_wait(LoginDialog(subject))
        if isinstance(answer, Path) and not subject.is_jump_host:
            self._store_key(subject.server, str(answer))
        return answer

    def _store_key(self, server: str, key: str) -> None:
        """Store a key file that was entered for a server with that server."""
        from screens.servers.step import ServerDialog

        for screen in self.screen_stack:
            if isinstance(screen, ServerDialog):
                screen.take_key(server, key)
        if self.session is not None and self.session.draft.set_key_file(server, key):
            self.post_message(DraftChanged())

    # --- leaving -------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Leave, asking only if something would be lost; in a dialog, close the dialog."""
        from tui.widgets.dialog import Dialog

        if isinstance(self.screen, Dialog):
            self.screen.action_refuse()
            return
        session = self.session
        if session is None:
            self._leave()
            return
        from screens.apply.screen import ApplyScreen
        from screens.done.screen import DoneScreen
        from tui.staging_screen import StagingScreen

        if isinstance(self.screen, ApplyScreen):
            self.screen.action_cancel()
            return
        if isinstance(self.screen, DoneScreen):
            self.screen.ask_to_leave(self._leave, ends=True)
            return
        if isinstance(self.screen, StagingScreen):
            self.screen.ask_to_leave(self._leave, ends=True)
            return
        if session.draft.has_typed_secrets:
            self._confirm_leaving()
        else:
            self._leave()

    @work
    async def _confirm_leaving(self) -> None:
        from tui.widgets.dialog import LeaveQuestion

        dialog = LeaveQuestion(
            "Leave",
            "The draft is saved, but not the passwords and keys you typed: you will have to enter "
            "them again.",
            "Leave",
        )
        if await self.push_screen_wait(dialog):
            self._leave()

    def _leave(self) -> None:
        self.saving.keep_draft()
        outcome = self.session.operations.outcome if self.session else None
        self.exit(int(ExitCode.DONE if outcome is None else outcome.exit_code))

    def on_unmount(self) -> None:
        """Stop the engine's threads."""
        self.opening.close()
        if self.session is not None:
            self.session.operations.stop_tests()
            self.session.operations.stop()

    def action_help(self) -> None:
        """Show the screen's help."""
        text = getattr(self.screen, "help_text", "")
        if text:
            from tui.widgets.help_dialog import HelpDialog

            title = type(self.screen).__name__.removesuffix("Screen")
            self.push_screen(HelpDialog(title, text, actions_of_screen(self.screen)))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette."""
        from tui.wizard.frame import WizardFrame

        yield from commands_of_screen(self, screen)
        if isinstance(screen, WizardFrame):
            for action in without_keys("wizard"):
                run = partial(self.call_later, self.run_action, action.method, screen)
                yield SystemCommand(action.title, action.does, run)
        yield from theme_commands(self)

    def _handle_exception(self, error: Exception) -> None:
        """Log an unexpected error and exit cleanly; tests get the error itself."""
        if isinstance(error, WorkerFailed):
            error = cast("Exception", error.error)
        if self.is_headless:
            super()._handle_exception(error)
            return
        from moorage import crash_log

        if self.crash is None:
            redactor = self.session.operations.redactor if self.session else None
            self.crash = crash_log.record(error, redactor)
        self.exit(int(ExitCode.FAILED))


def run_wizard(
    path: Path | None = None,
    *,
    prefill: Answers | Mapping[str, Any] | None = None,
    users: bool = False,
    servers: tuple[tuple[str, ...], str] | None = None,
) -> int:
    """Run the wizard and return the exit code.

    Args:
        path: An answers file to open at once.
        prefill: Answers to begin with instead, finished or not.
        users: Whether to begin with the users.
        servers: The addresses and the key file (or empty) of servers to read instead of a file.
    """
    let_alt_numbers_through()
    app = WizardApp(path, prefill=prefill, users=users, servers=servers)
    result = app.run()
    if app.crash is not None:
        print(f"moorage: {app.crash}", file=sys.stderr)
        return int(ExitCode.FAILED)
    return int(result) if result is not None else int(ExitCode.DONE)
