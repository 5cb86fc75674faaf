"""Opens deployments, from files, drafts and servers, and the screens to work on them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.errors import MoorageError, Problem
from moorage.local_file import expand
from moorage.state import short_path
from screens.start.screen import WelcomeScreen
from tui.deployment_app import DeploymentApp
from tui.document import store
from tui.document.paths import parse_path
from tui.document.steps import STEPS, Progress, Step, begin, step_at, wrong_steps
from tui.labels import describe_error
from tui.messages import DraftChanged, QuestionAsked
from tui.saving import Saving
from tui.tasks import in_thread

if TYPE_CHECKING:
    from textual.screen import Screen

    from moorage.answers.recorded import Path as RecordedPath
    from moorage.answers.recorded import RecordedServer
    from moorage.deploy.logs.rows import LogFilter
    from moorage.deploy.operations import OpenTransport
    from moorage.deploy.status.discovery import FoundDeployment, ReadDeployment
    from moorage.users.answers_sync import UsersChange
    from tui.document.draft import Draft
    from tui.document.problems import Mistakes
    from tui.document.reading import Opened
    from tui.questions.asker import WizardAsker
    from tui.widgets.dialog import ConfirmDialog
    from tui.wizard.step_pane import StepPane
    from tui.wizard_session import WizardSession


def panes() -> Mapping[Step, type[StepPane]]:
    """Return the form of each step."""
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
    """Import what the start screen does not need; once per process."""
    import screens.apply.screen
    import screens.dashboard.screen
    import screens.done.screen
    import screens.images.screen
    import screens.logs.screen
    import screens.users.screen  # noqa: F401

    panes()
    # Loaded modules stay. Each garbage collection that looks through them takes a tenth of a
    # second, in which the wizard does not react to keys.
    gc.freeze()


class Opening:
    """Opens deployments, and the screens to work on them.

    Args:
        app: The application that shows them.
        saving: Saves the open deployment.
        open_transport: Opens a connection; tests pass one without SSH.
    """

    def __init__(
        self, app: DeploymentApp, saving: Saving, open_transport: OpenTransport | None = None
    ) -> None:
        self._app = app
        self._saving = saving
        self._open_transport = open_transport

    @property
    def _session(self) -> WizardSession | None:
        return self._app.session

    @cached_property
    def asker(self) -> WizardAsker:
        """Asks the operator on behalf of the engine's threads."""
        from tui.questions.asker import WizardAsker

        return WizardAsker(lambda question: self._app.post_message(QuestionAsked(question)))

    def close(self) -> None:
        """Release threads that wait for an answer."""
        if "asker" in self.__dict__:  # there were no questions otherwise
            self.asker.close()

    def start_screen(self) -> Screen[None]:
        """Return the start screen, which is below all other screens."""
        return WelcomeScreen(self._open_transport)

    def load_the_rest(self) -> None:
        """Import the other screens in the background, once the start screen is painted."""
        self._app.set_timer(
            0.3, threading.Thread(target=load_the_rest, name="load", daemon=True).start
        )

    async def open_users_of_recent(self) -> None:
        """Open the users of the only deployment on the start screen, or ask to select one."""
        # One can be listed twice: as the applied draft, and as the file it was saved in later.
        applied = [each for each in store.recents() if each.state and not each.is_missing]
        if len({each.domain for each in applied}) == 1:
            await self.open_file(Path(applied[0].path), users=True)
        elif applied:
            self._app.notify("Press U to open the users of the selected deployment")
        else:
            self._app.notify("No deployments yet. Press C to connect to a server.")

    def open_new(self) -> None:
        """Start a new deployment."""
        from tui.document.draft import Draft

        self.open_draft(Draft.new(), store.new_draft_file(), is_new=True)

    async def open_file(self, path: Path, *, users: bool = False) -> None:
        """Open an answers file, or one of the wizard's own drafts; runs in a worker.

        Args:
            path: The file.
            users: Whether to begin with its users, as the servers have them.
        """
        from tui.document.reading import open_path

        try:
            path = expand(path, "answers file")
            opened = open_path(path)
        except MoorageError as error:
            self._app.show_note("Open", describe_error(error))
            return
        for notice in opened.notices:
            self._app.notify(notice, markup=False)
        draft, unsaved = opened.draft, opened.unsaved
        if users:
            kept = unsaved or draft  # unsaved changes stay unsaved
            session = self._take(kept, opened.draft_file, opened.path, begin((), (), is_new=False))
            if opened.path is not None:
                session.note_read(draft.without_secrets(), store.text_of(opened.path))
            if unsaved is not None:
                session.base = opened.base
            self.open_users(draft)
            return
        if unsaved is None:
            self.open_draft(
                draft, opened.draft_file, opened.path, seen=opened.visited, left_at=opened.left_at
            )
            await self._list_problems(opened.mistakes)
            return

        from tui.document.unapplied import is_as_applied
        from tui.widgets.dialog import ConfirmDialog

        text = (
            f"{short_path(path)} has changes that you made in the wizard and did not save. "
            "Opening the saved file discards them."
        )
        if is_as_applied(unsaved):
            text = (
                f"{short_path(path)} does not have what was applied last: you did not save it. "
                "Applying the saved file would undo these changes."
            )
        goes_on = await self._app.push_screen_wait(
            ConfirmDialog(
                "Unsaved changes",
                text,
                "Keep the changes",
                "Open the saved file",
            )
        )
        if goes_on is None:
            return
        if goes_on:
            unsaved = await self._with_file_changes(opened, unsaved)
            if unsaved is None:
                return
        kept = unsaved if goes_on else draft
        left_at = opened.left_at if goes_on else ""
        self.open_draft(kept, opened.draft_file, opened.path, saved=draft, left_at=left_at)
        if not goes_on:
            await self._list_problems(opened.mistakes)

    async def _with_file_changes(self, opened: Opened, unsaved: Draft) -> Draft | None:
        """Offer to merge what changed in the file since; returns the draft, or None for Escape."""
        from tui.document.file_changes import changes_since
        from tui.file_changes_text import describe_file_changes
        from tui.widgets.dialog import ConfirmDialog

        changes = changes_since(opened.base, opened.draft, unsaved)
        if changes is None:
            return unsaved
        assert opened.path is not None
        merges = await self._app.push_screen_wait(
            ConfirmDialog(
                "The file has changed",
                describe_file_changes(opened.path, changes, opened.draft, unsaved),
                "Take them over",
                "Keep the draft as it is",
            )
        )
        if merges is None:
            return None
        return changes.merged if merges else unsaved

    async def _list_problems(self, mistakes: Mistakes | None) -> None:
        """List the mistakes in the file that was opened, then go to the first."""
        if mistakes is None:
            return
        from tui.document.problems import remove_keys
        from tui.wizard.frame import WizardFrame
        from tui.wizard.problems_dialog import MistakesDialog

        removes_unknown = await self._app.push_screen_wait(MistakesDialog(mistakes))
        session, frame = self._app.session, self._app.screen
        if session is None or not isinstance(frame, WizardFrame):
            return
        if removes_unknown:
            remove_keys(session.draft, mistakes.unknown)
            frame.post_message(DraftChanged())
        if (first := mistakes.first_in(session.draft)) is not None:
            await frame.show_mistake(first)

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
        """Open a draft: on its dashboard if it was applied before, else in the wizard.

        Args:
            draft: The draft.
            draft_file: The file it is saved in.
            path: Its answers file, if there is one.
            saved: The content of the answers file, if it differs.
            is_new: Whether nothing has been answered yet.
            seen: The steps seen before; None if all of them count as seen.
            left_at: The step shown last, by name; empty if unknown.
        """
        from screens.dashboard.screen import DashboardScreen

        asked = [str(step) for step in draft.get("ask", ())]
        wrong = wrong_steps(draft.problems)
        progress = begin(asked, wrong, is_new=is_new, seen=seen, left_at=left_at)
        session = self._take(draft, draft_file, path, progress)
        if path is not None:
            session.note_read((saved or draft).without_secrets(), store.text_of(path))
            store.remember(path, draft.domain)
        if store.last_applied(draft.domain) is None or asked or draft.problems:
            self.open_frame()
        else:
            self._app.push_screen(DashboardScreen(session, self._open_transport))

    def _take(
        self, draft: Draft, draft_file: Path, path: Path | None, progress: Progress
    ) -> WizardSession:
        from moorage.deploy.operations import Operations
        from tui.events import EventQueue
        from tui.wizard_session import WizardSession

        events = EventQueue()
        operations = Operations(self.asker, events.put, self._open_transport)
        session = WizardSession(draft, operations, events, draft_file, path, progress)
        self._app.session = session
        return session

    def open_frame(self, *, from_dashboard: bool = False, at: str = "") -> None:
        """Open the wizard on the open deployment.

        Args:
            from_dashboard: Whether Escape goes back to the dashboard.
            at: The path of the answers to focus; empty for the first field.
        """
        from tui.wizard.frame import WizardFrame

        if self._session is not None:
            frame = WizardFrame(self._session, panes(), from_dashboard=from_dashboard, at=at)
            self._app.push_screen(frame, self._frame_closed)

    def _frame_closed(self, _result: None) -> None:
        if self._session is not None:
            self._saving.keep_draft()
            self._session.operations.stop()

    # --- from the dashboard ----------------------------------------------------------------

    async def open_settings(self, *, reviews: bool, at: str = "") -> None:
        """Open the wizard on the open deployment; runs in a worker.

        Args:
            reviews: Whether to begin with Review.
            at: The path of the answers to begin at; empty for the first step.
        """
        session = self._session
        if session is None or not await self._withheld_is_settled(session):
            return
        from tui.document.unapplied import not_applied

        applied = session.read or store.last_applied(session.draft.domain)
        session.is_applied = applied is not None and not not_applied(session.draft, applied)
        step = Step.REVIEW if reviews else step_at(parse_path(at))
        session.progress = Progress(step, frozenset(STEPS) - {step})
        self.open_frame(from_dashboard=True, at=at)

    async def show_users(self) -> None:
        """Manage who can log in: on the servers, or in the answers before the first apply."""
        from tui.wizard.frame import WizardFrame

        session, screen = self._session, self._app.screen
        if session is None:
            return
        if isinstance(screen, WizardFrame) and not store.last_applied(session.draft.domain):
            await screen.action_jump(Step.CREDENTIALS.value)
        else:
            self.open_users()

    def open_users(self, draft: Draft | None = None) -> None:
        """Open the users of the open deployment.

        Args:
            draft: The draft that names the servers; None for the open one.
        """
        from screens.users.screen import UsersScreen
        from screens.users.servers import UsersOnServers

        session = self._session
        assert session is not None
        try:
            answers = (draft or session.draft).answers_to_look()
        except MoorageError as error:
            self._app.show_note(
                "Users", f"Some answers are still missing.\n{describe_error(error)}"
            )
            return
        users_on_servers = UsersOnServers(
            answers, self.asker, self._open_transport, session.left_out
        )
        self._app.push_screen(UsersScreen(users_on_servers, session.draft.domain))

    async def follow_users(self, change: UsersChange) -> None:
        """Update the draft and its file after a change of the users, or an apply would undo it."""
        from moorage.users.answers_sync import sync_answers
        from tui.document.saving import sync_draft

        session = self._session
        if session is None:
            return
        domain, path, was_saved = session.draft.domain, session.path, session.is_saved
        sync_draft(session.draft, change)
        if session.read is not None:
            sync_draft(session.read, change)
        if path is None:
            self._saving.keep_draft()
        elif was_saved:
            session.saved = session.draft.without_secrets()
        synced = await in_thread(lambda: sync_answers(domain, path, change))
        if path is not None:
            session.note_file(store.text_of(path))
        if synced.failure is not None:
            self._app.show_note("Answers", describe_error(synced.failure))
        elif synced.notices:
            self._say_synced(" ".join(synced.notices))

    def _say_synced(self, text: str) -> None:
        """Show a text on the users' screen, or as a toast once that is closed."""
        from screens.users.screen import UsersScreen

        for screen in self._app.screen_stack:
            if isinstance(screen, UsersScreen):
                screen.say(text, more=True)
                return
        self._app.notify(text, markup=False)

    def open_logs(self, rows: LogFilter | None = None) -> None:
        """Open the logs of the open deployment.

        Args:
            rows: The requests to show; None for everything.
        """
        if self._session is None:
            return
        try:
            answers = self._session.draft.answers_to_look()
        except MoorageError as error:
            self._app.show_note("Logs", describe_error(error))
            return
        from screens.logs.screen import LogsScreen

        self._app.push_screen(LogsScreen(answers, self.asker, self._open_transport, rows))

    def open_images(self, repository: str = "") -> None:
        """Open the images of the open deployment.

        Args:
            repository: The repository to go to; empty for none.
        """
        session = self._session
        if session is None:
            return
        try:
            answers = session.draft.answers_to_look()
        except MoorageError as error:
            self._app.show_note("Images", describe_error(error))
            return
        from screens.images.screen import ImagesScreen
        from screens.images.source import ImagesOnServers

        source = ImagesOnServers(answers, self.asker, self._open_transport)
        self._app.push_screen(ImagesScreen(source, session.draft.registry_name, repository))

    # --- from a server --------------------------------------------------------------------

    async def connect(self, addresses: Sequence[str], key: str, *, users: bool) -> None:
        """Open the deployment that servers have on record; runs in a worker.

        Args:
            addresses: ``USER@HOST:PORT`` or an alias, each.
            key: The key file, or empty.
            users: Whether to begin with its users.
        """
        from moorage.deploy.status.discovery import read_deployment
        from moorage.servers.address import parse_server

        try:
            servers = [parse_server(address, key or None) for address in addresses]
        except MoorageError as error:
            self._app.show_note("Connect", describe_error(error))
            return
        self._say_at_the_start(f"Reading {', '.join(addresses)}…")
        try:
            read = await in_thread(
                lambda: read_deployment(servers, self.asker, self._open_transport)
            )
        except MoorageError as error:
            self.asker.forget_refused(error)
            self._app.show_note("Connect", describe_error(error))
            return
        finally:
            self._say_at_the_start("")
        others = read.found.others
        if others:
            goes_there = await self._app.push_screen_wait(_others_dialog(read.found))
            if goes_there is None:
                return
            others = others if goes_there else ()
        self._open_read(read, others, users=users)

    def _say_at_the_start(self, text: str) -> None:
        for screen in self._app.screen_stack:
            if isinstance(screen, WelcomeScreen):
                screen.say(text)

    def _open_read(
        self, read: ReadDeployment, agreed: tuple[RecordedServer, ...], *, users: bool
    ) -> None:
        """Open a deployment that was read from servers.

        Args:
            read: The deployment.
            agreed: The other servers that the operator agreed to connect to.
            users: Whether to begin with its users.
        """
        from screens.dashboard.screen import DashboardScreen
        from tui.document.draft import Draft

        adopted = read.found.adopted(agreed)
        session = self._take(
            Draft(adopted.values), store.new_draft_file(), None, begin((), (), is_new=False)
        )
        session.read = Draft(adopted.values)
        session.left_out = read.found.left_out(agreed)
        session.unconfirmed = adopted.unconfirmed
        self._saving.note_applied(read.applied_at, is_hearsay=True)
        if not isinstance(self._app.screen, WelcomeScreen):
            return
        if users:
            self.open_users()
        else:
            self._app.push_screen(DashboardScreen(session, self._open_transport))

    async def _withheld_is_settled(self, session: WizardSession) -> bool:
        """Have the operator confirm what a record names on this side; returns False for Escape."""
        if not session.unconfirmed:
            return True
        agrees = await self._app.push_screen_wait(_unconfirmed_dialog(session.unconfirmed))
        if agrees is None:
            return False
        for path, value in session.unconfirmed.items() if agrees else ():
            for draft in filter(None, (session.draft, session.read)):
                draft.set(Problem(path, "").dotted, value)
        session.unconfirmed = {}
        return True


def _others_dialog(deployment: FoundDeployment) -> ConfirmDialog:
    from tui.widgets.dialog import ConfirmDialog

    only = ", ".join(each.host for each in deployment.named)
    them = "it" if len(deployment.others) == 1 else "them"
    return ConfirmDialog(
        "Other servers",
        f"{deployment.others_in_words}\n\nMoorage has not connected to {them}.",
        f"Connect to {them} too",
        f"Only {only}",
        careful=True,
    )


def _unconfirmed_dialog(unconfirmed: Mapping[RecordedPath, object]) -> ConfirmDialog:
    from moorage.escape import printable
    from tui.labels import label_of
    from tui.widgets.dialog import ConfirmDialog

    lines = [
        printable(f"{label_of(path) or Problem(path, '').dotted}: {_shown(value)}")
        for path, value in unconfirmed.items()
    ]
    return ConfirmDialog(
        "Confirm these settings",
        "The server's record also names these files and systems. They come from the machine "
        "that applied it, and Moorage has not opened or contacted any of them. Are they right "
        "for this machine?\n\n" + "\n".join(lines),
        "Use them",
        "Leave them out",
        careful=True,
    )


def _shown(value: object) -> str:
    """Return a recorded value as text; its secrets have been replaced by prompts."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
