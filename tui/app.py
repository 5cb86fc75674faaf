"""The application: opens and saves deployments, and connects screens, engine and operator."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from moorage.answers.model import Answers
from moorage.errors import ExitCode, MoorageError
from moorage.servers.transport import HostKey
from screens.advanced import AdvancedPane
from screens.apply import ApplyScreen
from screens.ask import HostKeyDialog, SecretDialog
from screens.credentials import CredentialsPane
from screens.dns import DnsPane
from screens.done import DoneScreen
from screens.review import ReviewPane
from screens.servers import ServersPane
from screens.ssl import SslPane
from screens.storage import StoragePane
from screens.welcome import WelcomeScreen
from tui import incident, keeping, theme
from tui.asking import Question, WizardAsker
from tui.desk import DeskApp
from tui.draft import Draft
from tui.engine import OpenTransport, WizardEngine
from tui.flow import STEPS, Step, begin, wrong_steps
from tui.keys import let_alt_numbers_through
from tui.messages import (
    ApplyOver,
    ApplyWanted,
    AskOperator,
    AttachWanted,
    EngineEvents,
    GoBack,
    OpenFile,
    OpenNew,
)
from tui.opening import open_path
from tui.questions import Answer, QuestionQueue
from tui.session import Session
from tui.widgets.dialog import ConfirmDialog
from tui.widgets.frame import WizardFrame
from tui.widgets.pane import StepPane

_PANES: Mapping[Step, type[StepPane]] = {
    pane.step: pane
    for pane in (
        ServersPane, CredentialsPane, StoragePane, DnsPane, SslPane, AdvancedPane, ReviewPane,
    )
}  # fmt: skip
_LISTENERS = (WizardFrame, ApplyScreen)


class WizardApp(DeskApp):
    """The wizard.

    Args:
        path: An answers file to open at once.
        prefill: Answers to begin with instead.
        open_transport: Opens a connection; replaced where no SSH is wanted.
        large_upload: Whether the checks send over 100 MB to each server.
    """

    TITLE = "Moorage"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+p", "command_palette", "More", priority=True),
        Binding("ctrl+q", "leave", "Leave", show=False, priority=True),
        Binding("ctrl+c", "leave", show=False),
        # At once, in front of any widget: what is typed after Tab then always lands where Tab led,
        # also when keys come faster than widgets take them (pasted, or typed ahead).
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]
    CSS = (
        theme.STYLE
        + """
    WizardFrame.-wide ReviewPane #plan { layout: horizontal; }
    WizardFrame.-wide ReviewPane PlanTree { width: 2fr; height: 1fr; max-width: 48; }
    WizardFrame.-wide ReviewPane #detail { width: 3fr; height: 1fr; }
    """
    )

    def __init__(
        self,
        path: Path | None = None,
        *,
        prefill: Answers | Mapping[str, Any] | None = None,
        open_transport: OpenTransport | None = None,
        large_upload: bool = True,
    ) -> None:
        super().__init__()
        self._path = path
        self._prefill = prefill
        self._open_transport = open_transport
        self._large_upload = large_upload
        self.asker = WizardAsker(self._ask_from_thread)
        self.crash: MoorageError | None = None
        self._questions = QuestionQueue(self._show_question)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The variables of our own, known before a theme of ours is used."""
        return dict(theme.DARK.variables)

    def on_mount(self) -> None:
        """Show the start, or what was asked for."""
        for each in theme.THEMES:
            self.register_theme(each)
        self.theme = theme.usual_theme(self.console.color_system)
        self.set_interval(0.05, self._pump)
        self.push_screen(WelcomeScreen())
        if self._path is not None:
            self.open_file(self._path)
        elif self._prefill is not None:
            filled = self._prefill
            draft = Draft.from_answers(filled) if isinstance(filled, Answers) else Draft(filled)
            self.open_draft(draft, keeping.new_draft_file())

    # --- opening -------------------------------------------------------------------------

    @on(OpenNew)
    def _new(self) -> None:
        self.open_draft(Draft.new(), keeping.new_draft_file(), is_new=True)

    @on(OpenFile)
    def _open(self, event: OpenFile) -> None:
        self.open_file(Path(event.path).expanduser())

    def open_file(self, path: Path) -> None:
        """Open an answers file, or one of the wizard's own drafts."""
        try:
            opened = open_path(path)
        except MoorageError as error:
            self.tell("Open", str(error))
            return
        for notice in opened.notices:
            self.notify(notice, markup=False)
        draft, unsaved = opened.draft, opened.unsaved
        if unsaved is None:
            self.open_draft(draft, opened.draft_file, opened.path)
            return

        def chosen(goes_on: bool | None) -> None:
            kept = unsaved if goes_on else draft
            self.open_draft(kept, opened.draft_file, opened.path, saved=draft)

        self.push_screen(
            ConfirmDialog(
                "Unsaved changes",
                f"{path} was changed in the wizard and not saved since.",
                "Go on with the changes",
                "Open the file as it is",
            ),
            chosen,
        )

    def open_draft(
        self,
        draft: Draft,
        draft_file: Path,
        path: Path | None = None,
        *,
        saved: Draft | None = None,
        is_new: bool = False,
    ) -> None:
        """Open a draft in the wizard.

        Args:
            draft: What was typed so far.
            draft_file: Where it is kept.
            path: The answers file it belongs to, if there is one.
            saved: What the answers file holds, where that differs.
            is_new: Whether nothing was answered yet.
        """
        engine = WizardEngine(self.asker, self._open_transport)
        asked = draft.get("ask", ())
        progress = begin([str(step) for step in asked], wrong_steps(draft.problems), is_new=is_new)
        self.session = Session(draft, engine, draft_file, path, progress)
        if path is not None:
            self.session.saved = (saved or draft).without_secrets()
            keeping.remember(path, draft.domain)
        self.push_screen(WizardFrame(self.session, _PANES), self._frame_closed)

    def _frame_closed(self, _result: None) -> None:
        if self.session is not None:
            self.keep_draft()
            self.session.engine.stop()

    # --- applying ------------------------------------------------------------------------

    @on(ApplyWanted)
    def _apply(self) -> None:
        if self.session is not None:
            self.push_screen(
                ApplyScreen(self.session, large_upload=self._large_upload), self._left_apply
            )

    @on(AttachWanted)
    def _follow_runs(self) -> None:
        if self.session is not None:
            self.push_screen(ApplyScreen(self.session, attaches=True), self._left_apply)

    def _left_apply(self, _result: None) -> None:
        self._read_again()

    @on(ApplyOver)
    def _apply_over(self) -> None:
        session = self.session
        if session is None or not isinstance(self.screen, ApplyScreen):
            return
        outcome = session.engine.outcome
        if outcome is None:
            self.screen.dismiss(None)
            return
        kept = session.path or session.draft_file
        state = "applied" if outcome.is_good else "last apply failed"
        if kept.is_file():
            keeping.remember(kept, session.draft.domain, state=state,
                             is_draft=session.path is None)  # fmt: skip
        answers = session.draft.answers()
        if outcome.is_good:
            keeping.keep_applied(session.draft)
        self.switch_screen(DoneScreen(session, answers, outcome))

    @on(GoBack)
    def _to_the_start(self) -> None:
        if isinstance(self.screen, DoneScreen):
            self.pop_screen()
            if isinstance(self.screen, WizardFrame):
                self.screen.dismiss(None)

    def _read_again(self) -> None:
        if isinstance(self.screen, WizardFrame):
            self.screen.forget_applied()
            if isinstance(self.screen.pane, ReviewPane):
                self.screen.pane.action_plan()

    # --- the engine's threads ------------------------------------------------------------

    def _ask_from_thread(self, question: Question) -> None:
        self.post_message(AskOperator(question))

    def _pump(self) -> None:
        """Hand on what happened on the servers, at most twenty times a second."""
        session = self.session
        if session is None:
            return
        happened = session.engine.events()
        if not happened:
            return
        for screen in reversed(self.screen_stack):
            if isinstance(screen, _LISTENERS):
                screen.post_message(EngineEvents(happened))
                return

    @on(AskOperator)
    def _ask(self, event: AskOperator) -> None:
        self._questions.add(event.question)

    def _show_question(self, question: Question, answered: Callable[[Answer], None]) -> None:
        subject = question.subject
        if isinstance(subject, HostKey):
            self.push_screen(HostKeyDialog(subject), answered)
        else:
            self.push_screen(SecretDialog(*subject), answered)

    # --- leaving -------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Leave, and ask only when something would be lost."""
        if isinstance(self.screen, ApplyScreen):
            self.screen.action_cancel()
            return
        session = self.session
        if session is None or not session.draft.has_typed_secrets:
            self._leave()
            return

        def answered(go: bool | None) -> None:
            if go:
                self._leave()

        self.push_screen(
            ConfirmDialog(
                "Leave",
                "The draft is kept, but typed passwords and keys are not: they have to be typed "
                "again.",
                "Leave",
            ),
            answered,
        )

    def _leave(self) -> None:
        self.keep_draft()
        outcome = self.session.engine.outcome if self.session else None
        good = outcome is None or outcome.is_good
        self.exit(int(ExitCode.DONE if good else ExitCode.FAILED))

    def on_unmount(self) -> None:
        """Let the engine's threads go."""
        self.asker.close()
        if self.session is not None:
            self.session.engine.stop_tests()
            self.session.engine.stop()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the command palette offers."""
        other = theme.LIGHT if self.theme == theme.DARK.name else theme.DARK
        word = "light" if other is theme.LIGHT else "dark"
        yield SystemCommand(
            f"Use the {word} theme",
            "Change the colours",
            lambda: setattr(self, "theme", other.name),
        )
        if isinstance(screen, WizardFrame):
            for step in STEPS:
                yield SystemCommand(
                    f"Go to {step.label}",
                    f"Step {step.number}",
                    lambda step=step: screen.run_worker(screen.action_jump(step.value)),
                )
            yield SystemCommand("Save the answers", "Write the file", screen.action_save)
        yield SystemCommand("Leave", "The draft is kept", self.action_leave)

    def _handle_exception(self, error: Exception) -> None:
        """Log what nobody foresaw and end in order; tests want the error itself."""
        if self.is_headless:
            super()._handle_exception(error)
            return
        if self.crash is None:
            redactor = self.session.engine.redactor if self.session else None
            self.crash = incident.record(error, redactor)
        self.exit(int(ExitCode.FAILED))


def run_wizard(
    path: Path | None = None, *, prefill: Answers | Mapping[str, Any] | None = None
) -> int:
    """Open the wizard and return what to exit with.

    Args:
        path: An answers file to open at once.
        prefill: Answers to begin with instead, finished or not.
    """
    let_alt_numbers_through()
    app = WizardApp(path, prefill=prefill)
    result = app.run()
    if app.crash is not None:
        print(f"moorage: {app.crash}", file=sys.stderr)
        return int(ExitCode.FAILED)
    return int(result) if result is not None else int(ExitCode.DONE)
