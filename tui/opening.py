"""The application's ways in: the start, opening deployments, their dashboard, users and logs."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on

from moorage.errors import MoorageError, Problem
from screens.start.screen import WelcomeScreen
from tui.document import store
from tui.document.steps import STEPS, Progress, Step, begin, wrong_steps
from tui.labels import in_words
from tui.messages import (
    AppliedFound,
    AskOperator,
    ConnectWanted,
    DraftChanged,
    LogsWanted,
    OpenFile,
    OpenNew,
    SettingsWanted,
    UsersChanged,
    UsersWanted,
)
from tui.saving import DeskApp
from tui.tasks import JobEnded, start_job

if TYPE_CHECKING:
    from moorage.answers.recorded import RecordedServer
    from moorage.deploy.operations import OpenTransport
    from tui.deployment_status import Found
    from tui.document.draft import Draft
    from tui.document.problems import Mistakes
    from tui.questions.asker import Question, WizardAsker
    from tui.wizard.step_pane import StepPane


def panes() -> Mapping[Step, type[StepPane]]:
    """Return the form of every step."""
    from screens.advanced.step import AdvancedPane
    from screens.credentials.step import CredentialsPane
    from screens.dns.step import DnsPane
    from screens.review.step import ReviewPane
    from screens.servers.step import ServersPane
    from screens.ssl.step import SslPane
    from screens.storage.step import StoragePane

    every: tuple[type[StepPane], ...] = (
        ServersPane, CredentialsPane, StoragePane, DnsPane, SslPane, AdvancedPane, ReviewPane,
    )  # fmt: skip
    return {pane.step: pane for pane in every}


@cache
def load_the_rest() -> None:
    """Import what the start does not need, while it is being read; once in a process."""
    import screens.apply.screen
    import screens.dashboard.screen
    import screens.done.screen
    import screens.logs.screen
    import screens.users.screen  # noqa: F401

    panes()
    # What is loaded stays. Looking through it for garbage again and again takes a tenth of a second
    # each time, in which no key is answered.
    gc.freeze()


class FrontApp(DeskApp):
    """Opens deployments.

    Args:
        open_transport: Opens a connection; replaced where no SSH is wanted.
    """

    CONNECT_JOB: ClassVar[str] = "connect"
    CONNECT_FOR_USERS_JOB: ClassVar[str] = "connect-users"
    SYNC_JOB: ClassVar[str] = "sync-answers"

    def __init__(self, open_transport: OpenTransport | None = None) -> None:
        super().__init__()
        self._open_transport = open_transport

    @cached_property
    def asker(self) -> WizardAsker:
        """Asks the operator on behalf of the engine's threads."""
        from tui.questions.asker import WizardAsker

        return WizardAsker(self._ask_from_thread)

    def _ask_from_thread(self, question: Question) -> None:
        self.post_message(AskOperator(question))

    def show_welcome(self) -> None:
        """Show the start."""
        self.push_screen(WelcomeScreen(self._open_transport))
        self.set_timer(0.3, self._load_the_rest)

    def show_users_of_the_recent(self) -> None:
        """Open the users of the deployment that is known here, or have one of several chosen."""
        # One may be there twice: as it was applied, unsaved, and as the file it was saved in later.
        applied = [each for each in store.recents() if each.state]
        if len({each.domain for each in applied}) == 1:
            self.open_file(Path(applied[0].path), users=True)
        elif applied:
            self.notify("U opens the users of the deployment that is chosen here")
        else:
            self.notify("No deployment is known here yet: C reads one of its servers")

    def _load_the_rest(self) -> None:
        threading.Thread(target=load_the_rest, name="load", daemon=True).start()

    @on(OpenNew)
    def _new(self) -> None:
        from tui.document.draft import Draft

        self.open_draft(Draft.new(), store.new_draft_file(), is_new=True)

    @on(OpenFile)
    def _open(self, event: OpenFile) -> None:
        self.open_file(Path(event.path).expanduser(), users=event.users)

    def open_file(self, path: Path, *, users: bool = False) -> None:
        """Open an answers file, or one of the wizard's own drafts.

        Args:
            path: The file.
            users: Whether to begin with its users, as the servers have them.
        """
        from tui.document.reading import open_path

        try:
            opened = open_path(path)
        except MoorageError as error:
            self.tell("Open", str(error))
            return
        for notice in opened.notices:
            self.notify(notice, markup=False)
        draft, unsaved = opened.draft, opened.unsaved
        if users:
            kept = unsaved or draft  # what is not saved stays so
            self._take(kept, opened.draft_file, opened.path, begin((), (), is_new=False))
            if self.session is not None and opened.path is not None:
                self.session.saved = draft.without_secrets()
                self.session.text = store.text_of(opened.path)
            self.open_users(draft)
            return
        if unsaved is None:
            self.open_draft(
                draft, opened.draft_file, opened.path, seen=opened.visited, left_at=opened.left_at
            )
            self._show_mistakes(opened.mistakes)
            return

        def chosen(goes_on: bool | None) -> None:
            if goes_on is None:
                return
            kept = unsaved if goes_on else draft
            left_at = opened.left_at if goes_on else ""
            self.open_draft(kept, opened.draft_file, opened.path, saved=draft, left_at=left_at)
            if not goes_on:
                self._show_mistakes(opened.mistakes)

        from tui.widgets.dialog import ConfirmDialog

        self.push_screen(
            ConfirmDialog(
                "Unsaved changes",
                f"{path} was changed in the wizard and not saved since. "
                "Opening the file as it is drops the changes.",
                "Go on with the changes",
                "Open the file as it is",
            ),
            chosen,
        )

    def _show_mistakes(self, mistakes: Mistakes | None) -> None:
        """List what is wrong in the file that was opened, then lead to the first of it."""
        if mistakes is None:
            return
        from tui.document.problems import without
        from tui.wizard.frame import WizardFrame
        from tui.wizard.problems_dialog import MistakesDialog

        async def read(takes_out: bool | None) -> None:
            session, frame = self.session, self.screen
            if session is None or not isinstance(frame, WizardFrame):
                return
            if takes_out:
                without(session.draft, mistakes.unknown)
                frame.post_message(DraftChanged())
            if (first := mistakes.first_in(session.draft)) is not None:
                await frame.show_mistake(first)

        self.push_screen(MistakesDialog(mistakes), read)

    def open_draft(
        self,
        draft: Draft,
        draft_file: Path,
        path: Path | None = None,
        *,
        saved: Draft | None = None,
        is_new: bool = False,
        seen: Sequence[str] | None = None,
        left_at: str = "",
    ) -> None:
        """Open a draft: on its dashboard when it was applied before, else in the wizard.

        Args:
            draft: What was typed so far.
            draft_file: Where it is kept.
            path: The answers file it belongs to, if there is one.
            saved: What the answers file holds, where that differs.
            is_new: Whether nothing was answered yet.
            seen: The steps that were seen before; None where all count as seen.
            left_at: The step a draft was left at, by name; empty where that is not known.
        """
        from screens.dashboard.screen import DashboardScreen

        asked = [str(step) for step in draft.get("ask", ())]
        wrong = wrong_steps(draft.problems)
        progress = begin(asked, wrong, is_new=is_new, seen=seen, left_at=left_at)
        self._take(draft, draft_file, path, progress)
        assert self.session is not None
        if path is not None:
            self.session.saved = (saved or draft).without_secrets()
            self.session.text = store.text_of(path)
            store.remember(path, draft.domain)
        if store.last_applied(draft.domain) is None or asked or draft.problems:
            self.open_frame()
        else:
            self.push_screen(DashboardScreen(self.session, self._open_transport))

    def _take(self, draft: Draft, draft_file: Path, path: Path | None, progress: Progress) -> None:
        from moorage.deploy.operations import Operations
        from tui.events import EventQueue
        from tui.session import Session

        events = EventQueue()
        operations = Operations(self.asker, events.put, self._open_transport)
        self.session = Session(draft, operations, events, draft_file, path, progress)

    def open_frame(self, *, from_dashboard: bool = False) -> None:
        """Open the wizard on what is open.

        Args:
            from_dashboard: Whether Escape leads back to the dashboard.
        """
        from tui.wizard.frame import WizardFrame

        if self.session is not None:
            frame = WizardFrame(self.session, panes(), from_dashboard=from_dashboard)
            self.push_screen(frame, self._frame_closed)

    def _frame_closed(self, _result: None) -> None:
        if self.session is not None:
            self.keep_draft()
            self.session.operations.stop()

    # --- from the dashboard ----------------------------------------------------------------

    @on(SettingsWanted)
    def _settings(self, event: SettingsWanted) -> None:
        session = self.session
        if session is None:
            return
        if session.withheld:
            self._confirm_withheld(lambda: self._settings(event))
            return
        from tui.document.unapplied import not_applied

        applied = session.read or store.last_applied(session.draft.domain)
        session.is_applied = applied is not None and not not_applied(session.draft, applied)
        step = Step.REVIEW if event.reviews else Step.SERVERS
        session.progress = Progress(step, frozenset(STEPS) - {step})
        self.open_frame(from_dashboard=True)

    @on(UsersWanted)
    async def _users(self) -> None:
        """Manage who may log in: on the servers, or in the answers before the first apply."""
        from tui.wizard.frame import WizardFrame

        session = self.session
        if session is None:
            return
        if isinstance(self.screen, WizardFrame) and not store.last_applied(session.draft.domain):
            await self.screen.action_jump(Step.CREDENTIALS.value)
        else:
            self.open_users()

    def open_users(self, draft: Draft | None = None) -> None:
        """Open the users of what is open.

        Args:
            draft: Whose servers; those of what is open when None.
        """
        from screens.users.screen import UsersScreen
        from screens.users.servers import UsersEngine

        session = self.session
        assert session is not None
        try:
            answers = (draft or session.draft).answers_to_look()
        except MoorageError as error:
            self.tell("Users", in_words(f"The answers are not finished.\n{error}"))
            return
        engine = UsersEngine(answers, self.asker, self._open_transport, session.left_out)
        self.push_screen(UsersScreen(engine, session.draft.domain))

    @on(UsersChanged)
    def _users_changed(self, event: UsersChanged) -> None:
        """Bring what is open in line, so that the next apply does not undo the change."""
        from moorage.users.answers_sync import UsersChange, sync_applied, sync_file
        from tui.document.users_sync import sync_draft

        session = self.session
        if session is None:
            return
        change = UsersChange(event.before, event.after, event.listed, revisions=event.revisions)
        was_saved = session.is_saved
        sync_draft(session.draft, change)
        if session.read is not None:
            sync_draft(session.read, change)
        sync_applied(session.draft.domain, change)
        if session.path is None:
            self.keep_draft()
            return
        if was_saved:
            session.saved = session.draft.without_secrets()
        path = session.path
        start_job(self, self.SYNC_JOB, lambda: sync_file(path, change))

    @on(JobEnded)
    def _answers_synced(self, event: JobEnded) -> None:
        if event.name != self.SYNC_JOB:
            return
        if self.session is not None and self.session.path is not None:
            self.session.text = store.text_of(self.session.path)
        if event.error is not None:
            self.tell(
                "Answers",
                "The servers have the change, but the answers file could not be updated, "
                f"so applying it may undo the change.\n\n{event.error}",
            )
        elif event.result:
            self._say_synced(" ".join(event.result))

    def _say_synced(self, text: str) -> None:
        """Say it on the users' screen, where it belongs, or anywhere when that is closed."""
        from screens.users.screen import UsersScreen

        for screen in self.screen_stack:
            if isinstance(screen, UsersScreen):
                screen.say(text, more=True)
                return
        self.notify(text, markup=False)

    @on(LogsWanted)
    def _logs(self) -> None:
        if self.session is None:
            return
        try:
            answers = self.session.draft.answers_to_look()
        except MoorageError as error:
            self.tell("Logs", in_words(str(error)))
            return
        from screens.logs.screen import LogsScreen

        self.push_screen(LogsScreen(answers, self.asker, self._open_transport))

    # --- a server alone --------------------------------------------------------------------

    @on(ConnectWanted)
    def _connect(self, event: ConnectWanted) -> None:
        from moorage.servers.address import server_from
        from tui.deployment_status import read_servers

        try:
            servers = [server_from(address, event.key or None) for address in event.addresses]
        except MoorageError as error:
            self.tell("Connect", error.message)
            return
        self._say_at_the_start(f"Reading {', '.join(event.addresses)}…")
        asker, opener = self.asker, self._open_transport
        job = self.CONNECT_FOR_USERS_JOB if event.users else self.CONNECT_JOB
        start_job(self, job, lambda: read_servers(servers, asker, opener))

    def _say_at_the_start(self, text: str) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, WelcomeScreen):
                screen.say(text)

    @on(JobEnded)
    def _connected(self, event: JobEnded) -> None:
        if event.name not in {self.CONNECT_JOB, self.CONNECT_FOR_USERS_JOB}:
            return
        self._say_at_the_start("")
        if event.error is not None:
            self.asker.forget_refused(event.error)
            self.tell("Connect", in_words(str(event.error)))
            return
        found: Found = event.result
        opens_users = event.name == self.CONNECT_FOR_USERS_JOB
        if not found.deployment.others:
            self._open_found(found, (), users=opens_users)
            return

        def answered(go: bool | None) -> None:
            if go is not None:
                agreed = found.deployment.others if go else ()
                self._open_found(found, agreed, users=opens_users)

        from tui.widgets.dialog import ConfirmDialog

        only = ", ".join(each.host for each in found.deployment.named)
        them = "it" if len(found.deployment.others) == 1 else "them"
        self.push_screen(
            ConfirmDialog(
                "Other servers",
                f"{found.deployment.others_in_words}\n\nMoorage has not connected to {them}.",
                f"Connect to {them}, too",
                f"Only {only}",
                careful=True,
            ),
            answered,
        )

    def _open_found(self, found: Found, agreed: tuple[RecordedServer, ...], *, users: bool) -> None:
        """Open a deployment that was read from servers.

        Args:
            found: What they said.
            agreed: The other servers that the operator agreed to connect to.
            users: Whether to begin with its users.
        """
        from screens.dashboard.screen import DashboardScreen
        from tui.document.draft import Draft

        adopted = found.deployment.adopted(agreed)
        self._take(Draft(adopted.values), store.new_draft_file(), None, begin((), (), is_new=False))
        assert self.session is not None
        self.session.read = Draft(adopted.values)
        self.session.left_out = found.deployment.left_out(agreed)
        self.session.withheld = adopted.withheld
        self.post_message(AppliedFound(found.at, is_hearsay=True))
        if not isinstance(self.screen, WelcomeScreen):
            return
        if users:
            self.open_users()
        else:
            self.push_screen(DashboardScreen(self.session, self._open_transport))

    def _confirm_withheld(self, then: Callable[[], object]) -> None:
        """Show what a record names on the operator's side; it is used only when that is right."""
        from moorage.escape import visible
        from tui.labels import label_of
        from tui.widgets.dialog import ConfirmDialog

        session = self.session
        assert session is not None

        def answered(go: bool | None) -> None:
            if go is None:
                return
            for path, value in session.withheld.items() if go else ():
                for draft in filter(None, (session.draft, session.read)):
                    draft.set(Problem(path, "").dotted, value)
            session.withheld = {}
            then()

        lines = [
            visible(f"{label_of(path) or Problem(path, '').dotted}: {_shown(value)}")
            for path, value in session.withheld.items()
        ]
        self.push_screen(
            ConfirmDialog(
                "To be confirmed",
                "The server's record also names these files and systems, as they were on the "
                "machine that applied it. Nothing was opened or contacted. Are they right for "
                "this machine?\n\n" + "\n".join(lines),
                "Use them",
                "Leave them out",
                careful=True,
            ),
            answered,
        )


def _shown(value: object) -> str:
    """Return a recorded value for people; its secrets are prompts by now."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
