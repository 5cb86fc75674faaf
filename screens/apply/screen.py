"""Apply: the progress of each server, and the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from moorage.deploy.events import (
    CheckEnded,
    CheckStatus,
    Event,
    LogLine,
    RunEnded,
    Staged,
    StepBegan,
    Warned,
)
from moorage.deploy.logs.rows import Level, run_level_of
from moorage.deploy.name import NAME_ROW
from moorage.deploy.operations import Outcome
from moorage.deploy.plan import timings
from moorage.errors import MoorageError, ServersFailed
from moorage.escape import printable
from moorage.rows import SIGNS
from moorage.servers.run_results import RunStatus
from moorage.state import short_path
from screens.apply.cancel_dialog import ApplyProgress, CancelDialog
from screens.apply.checklist import Checklist, checks_in_words
from tui.actions import bindings
from tui.labels import describe_error
from tui.messages import ApplyEnded, EngineEvents
from tui.outcome_text import faults_of
from tui.styled_once import StyledOnce
from tui.tasks import in_thread
from tui.text_files import save_text
from tui.widgets.dialog import FindDialog
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.widgets.log_store import RUN_LEVELS, LogEntry
from tui.widgets.log_view import LogView
from tui.widgets.server_row import ServerProgress, ServerRow
from tui.wizard_session import WizardSession

_DEFAULT_LEVEL = RUN_LEVELS[0][0]


class ApplyScreen(StyledOnce[None]):
    """Applies the plan or follows runs in progress, then checks the registry.

    Args:
        session: The deployment that is open.
        attaches: Whether to follow runs in progress instead.
        large_upload: Whether the checks send over 100 MB to each server.
    """

    help_text = (
        "Each server has a line with its current step, the elapsed time and, after earlier runs, "
        "the time left. Below are the selected server's steps and its log, on a narrow terminal in "
        "turn. The log leaves out apt's output, which L shows. The runs continue on the servers "
        "even if you close this window."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("apply")
    DEFAULT_CSS = """
    ApplyScreen #headline { height: auto; padding: 1 2 0 2; text-style: bold; }
    ApplyScreen #rows { height: auto; max-height: 30%; padding: 1 1; }
    ApplyScreen #log-title { height: 1; padding: 0 2; color: $text-muted; background: $panel; }
    ApplyScreen #progress { height: 1fr; }
    ApplyScreen.-narrow Checklist { display: none; }
    ApplyScreen.-narrow.-steps Checklist { display: block; width: 1fr; }
    ApplyScreen.-narrow.-steps #log { display: none; }
    ApplyScreen LogView { height: 1fr; }
    ApplyScreen #ending { height: auto; max-height: 40%; padding: 0 2; display: none; }
    ApplyScreen #ending.-shown { display: block; }
    """

    def __init__(
        self, session: WizardSession, *, attaches: bool = False, large_upload: bool = True
    ) -> None:
        super().__init__()
        self._session = session
        self._attaches = attaches
        self._large_upload = large_upload
        known = timings.recorded()
        plan = session.operations.plan
        servers = plan.servers if plan and not attaches else ()
        if attaches:
            names = [str(each.get("host", "")) for each in session.draft.items("servers")]
            self._servers = {name: ServerProgress(name) for name in names}
        else:
            self._servers = {
                each.server: ServerProgress(
                    each.server,
                    expected=timings.expected(timings.steps_of(each), known),
                    steps=timings.steps_of(each),
                )
                for each in servers
            }
        for server in servers:
            if not server.has_changes:
                self._servers[server.server].end("unchanged", "nothing to change")
        if session.operations.name.has_changes and not attaches:
            self._servers[NAME_ROW] = ServerProgress(NAME_ROW, words="after the checks")
        self._leaving = {each.label for each in session.operations.leaving if not attaches}
        for name in sorted(self._leaving):
            self._servers[name] = ServerProgress(name, words="uninstalled at the end")
        self._selected = next(
            (name for name, each in self._servers.items() if each.state == "waiting"),
            next(iter(self._servers), ""),
        )
        self._log = LogView()
        self._is_over = False
        self._is_checking = False
        self._is_uninstalling = False
        self._was_stopped = False
        self._is_good = False

    def compose(self) -> ComposeResult:
        width = min(30, max((len(name) for name in self._servers), default=0))
        yield HeaderBar(self._session.draft.domain, "Apply")
        yield Static("", id="headline", markup=False)
        with VerticalScroll(id="rows", can_focus=False):
            for progress in self._servers.values():
                yield ServerRow(progress, width)
        with Horizontal(id="progress"):
            yield Checklist()
            with Vertical(id="log"):
                yield Static("", id="log-title", markup=False)
                yield self._log
        yield Static("", id="ending", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start."""
        operations = self._session.operations
        self._log.show(level=_DEFAULT_LEVEL)
        large = self._large_upload
        if self._attaches:
            answers = self._session.answers
            self._begin("Following the runs", lambda: operations.attach(answers()))
        else:
            self._begin("Applying the plan", lambda: operations.apply(large_upload=large))
        self.set_interval(0.5, self._redraw)
        self._select(self._selected)

    def _begin(self, headline: str, operation: Callable[[], Outcome]) -> None:
        self._is_over = self._is_checking = self._is_uninstalling = self._was_stopped = False
        self.query_one("#ending").remove_class("-shown")
        self._show_steps()
        self._say(headline)
        self._follow(operation)
        self.refresh_bindings()

    def _say(self, text: str) -> None:
        self.query_one("#headline", Static).update(Content(text))

    def _redraw(self) -> None:
        for row in self.query(ServerRow):
            row.refresh()
        self.query_one(Checklist).show(self._servers.get(self._selected))

    # --- what happens ----------------------------------------------------------------------

    @on(EngineEvents)
    def _happened(self, message: EngineEvents) -> None:
        now = time.monotonic()
        entries: list[LogEntry] = []
        for event in message.events:
            progress = self._servers.get(event.server)
            if progress is not None:
                progress.heard = now
                if event.server in self._leaving:
                    self._begin_uninstall(event, progress, now)
                entry = self._take(event, progress)
                if entry is not None:
                    entries.append(entry)
        self._log.add(entries)
        self._redraw()

    def _take(self, event: Event, progress: ServerProgress) -> LogEntry | None:
        """Update a server's progress from an event, and return its log line if it has one."""
        match event:
            case LogLine():
                level = run_level_of(event.text, progress.step)
                return LogEntry(event.server, level, printable(event.text))
            case Warned():
                return LogEntry(event.server, Level.WARNING, printable(f"! {event.text}"))
            case StepBegan():
                progress.begin_step(event.step)
                if event.server == NAME_ROW:
                    self._say("Updating DNS records")
                return LogEntry(event.server, Level.STEP, f"── {progress.words}")
            case Staged():
                progress.words = "Ready, waiting for the others"
            case RunEnded(status=RunStatus.DONE):
                progress.end("done", "done")
            case RunEnded():
                text = printable(f"{event.status.label}: {event.message}")
                if self._was_stopped and event.status is RunStatus.CANCELLED:
                    text = "stopped and rolled back"
                progress.end("bad", text)
                return LogEntry(event.server, Level.ERROR, f"── {text}")
            case CheckEnded():
                self._begin_checks()
                progress.checks.append(event)
                progress.words = checks_in_words(progress.checks)
                if event.status is CheckStatus.BAD:
                    progress.state = "bad"
                level = Level.ERROR if event.status is CheckStatus.BAD else Level.STEP
                text = f"{SIGNS[event.status.level]} {event.name}: {' '.join(event.detail.split())}"
                return LogEntry(event.server, level, printable(text))
        return None

    def _begin_checks(self) -> None:
        if not self._is_checking:
            self._is_checking = True
            self._say("Checking the registry from outside")

    def _begin_uninstall(self, event: Event, progress: ServerProgress, now: float) -> None:
        """Show that a server that left is uninstalled, or why that has to wait."""
        self._is_checking = self._is_uninstalling = True
        self._say("Uninstalling the servers that left")
        if isinstance(event, LogLine) and progress.state == "waiting":
            progress.began = progress.began or now
            progress.words = event.text

    # --- the log ----------------------------------------------------------------------------

    def _select(self, name: str) -> None:
        """Show the log of a server; an empty name shows all."""
        self._selected = name
        for row in self.query(ServerRow):
            row.set_class(not name or row.progress.name == name, "-selected")
        self._log.show(server=name)
        self.query_one(Checklist).show(self._servers.get(name))
        self._show_log_title()

    @property
    def _shows_log(self) -> bool:
        """Whether the log is visible."""
        return self.has_class("-wide") or not self.has_class("-steps")

    def _show_steps(self) -> None:
        """Show the steps; on a narrow terminal, in place of the log."""
        self.add_class("-steps")
        self.set_focus(self._log if self._shows_log else self.query_one(Checklist).lines)
        self.refresh_bindings()

    def _show_log(self) -> None:
        """Show the log; on a narrow terminal, in place of the steps."""
        self.remove_class("-steps")
        self.set_focus(self._log)
        self.refresh_bindings()

    def action_steps(self) -> None:
        """Show the steps in place of the log."""
        self._show_steps()

    def action_log(self) -> None:
        """Show the log in place of the steps."""
        self._show_log()

    @on(LogView.Moved)
    def _log_moved(self) -> None:
        self._show_log_title()

    def _show_log_title(self, result: str = "") -> None:
        """Show which part of the log is visible, and the result of saving or copying."""
        store = self._log.store
        parts = [result] if result else []
        parts += [f"Log of {printable(self._selected)}" if self._selected else "Log of all servers"]
        if store.level is not _DEFAULT_LEVEL:
            parts.append(dict(RUN_LEVELS)[store.level])
        if store.text:
            parts.append(f"lines with “{store.text}”")
        if not self._log.follows:
            parts.append("paused, press f to follow")
        if store.dropped:
            parts.append(f"{store.dropped} older lines are on the server only")
        self.query_one("#log-title", Static).update(Content(" · ".join(parts)))

    @on(ServerRow.Clicked)
    def _clicked(self, event: ServerRow.Clicked) -> None:
        self._select(event.name)

    def action_select(self, step: int) -> None:
        """Select the next or previous server; with one server, scroll its log."""
        names = list(self._servers)
        if len(names) < 2:
            shown = self._log if self._shows_log else self.query_one(Checklist).lines
            shown.scroll_relative(y=step, animate=False)
            return
        place = names.index(self._selected) + step if self._selected else 0
        self._select(names[place % len(names)])

    def action_all_servers(self) -> None:
        """Show the log of all servers, or of the first one again."""
        self._show_log()
        self._select("" if self._selected else next(iter(self._servers), ""))

    def action_level(self) -> None:
        """Show fewer lines: steps, warnings, errors; then all again."""
        self._show_log()
        levels = [level for level, _ in RUN_LEVELS]
        self._log.show(level=levels[(levels.index(self._log.store.level) + 1) % len(levels)])
        self._show_log_title()

    def action_follow(self) -> None:
        """Follow the end of the log, or stop."""
        self._show_log()
        self._log.action_follow()

    @work
    async def action_find(self) -> None:
        """Show only lines of the log that contain a text."""
        self._show_log()
        text = await self.app.push_screen_wait(FindDialog("Find in the log", self._log.store.text))
        if text is not None:
            self._log.show(text=text)
            self._show_log_title()

    def action_save_log(self) -> None:
        """Save the lines of the log to a file."""
        self._show_log()
        try:
            path = save_text(
                "logs", f"{self._selected or 'all'}.log", "\n".join(self._lines_to_save())
            )
        except OSError as error:
            self._show_log_title(f"✗ Cannot save the log: {error.strerror}")
        else:
            self._show_log_title(f"✓ Saved in {short_path(path)}")

    def _lines_to_save(self) -> list[str]:
        """Return the lines shown, and those that are folded away."""
        store = self._log.store
        if store.level is not _DEFAULT_LEVEL:
            return store.lines()
        store.show(level=Level.ROUTINE)
        lines = store.lines()
        store.show(level=_DEFAULT_LEVEL)
        return lines

    def action_copy_log(self) -> None:
        """Copy the last lines of the log."""
        self._show_log()
        lines = self._log.store.lines()[-1000:]
        self.app.copy_to_clipboard("\n".join(lines))
        self._show_log_title(f"✓ Copied: {len(lines)} line{'s' if len(lines) != 1 else ''}")

    # --- the end -----------------------------------------------------------------------------

    @work
    async def _follow(self, operation: Callable[[], Outcome]) -> None:
        outcome, failure = None, None
        try:
            outcome = await in_thread(operation, self._session.operations.redactor)
        except MoorageError as error:
            failure = error
        self._is_over = True
        # Events that are still queued happened before the end.
        while happened := self._session.events.take():
            self.post_message(EngineEvents(happened))
        self.call_later(self._show_ending, outcome, failure)

    def _show_report_if_done(self) -> None:
        """Show the report after a good apply, once no dialog is open."""
        if self._is_good and self.app.screen is self:
            self.post_message(ApplyEnded())

    def on_screen_resume(self) -> None:
        """Show the report if the apply ended while a dialog was open."""
        self._show_report_if_done()

    def _show_ending(self, outcome: Outcome | None, error: MoorageError | None) -> None:
        if error is None and outcome is not None and outcome.is_good:
            self._is_good = True
            self._show_report_if_done()
            return
        lines: list[str] = []
        if error is not None:
            errors: Sequence[MoorageError] = (
                error.errors if isinstance(error, ServersFailed) else (error,)
            )
            lines += [f"✗ {describe_error(each)}" for each in errors]
        elif outcome is not None:
            lines = faults_of(outcome)
            for server in outcome.report.servers if outcome.report else ():
                if not server.is_good:
                    how = "stopped" if outcome.is_rolled_back else server.status.label
                    self._servers[server.server].end("bad", how)
        for progress in self._servers.values():
            if progress.state in {"waiting", "running"}:
                progress.end("bad", "not done")
        self._show_log()
        self._say("Stopped" if self._was_stopped else "Apply failed")
        retry = " r: retry failed servers." if self._failed else ""
        lines.append(f"Enter: report.{retry} s: save log.")
        ending = self.query_one("#ending", Static)
        ending.update(Content(printable("\n".join(lines))))
        ending.add_class("-shown")
        self.refresh_bindings()
        self._redraw()

    @property
    def _failed(self) -> list[str]:
        """The servers that failed, which can be retried."""
        outcome = self._session.operations.outcome
        if not self._is_over or outcome is None or outcome.report is None:
            return []
        return [each.server for each in outcome.report.servers if not each.is_good]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what there is: the report and Retry at the end, and the other view if it fits."""
        is_found = bool(self._log.store.text)
        offered = {
            "go_on": self._is_over and not is_found,
            "cancel": not self._is_over or is_found,
            "retry": bool(self._failed),
            "all_servers": len(self._servers) > 1,
            "log": not self._shows_log,
            "steps": self._shows_log and not self.has_class("-wide"),
        }
        return offered.get(action, True)

    def action_retry(self) -> None:
        """Apply again, only on the servers that failed."""
        failed, operations, large = self._failed, self._session.operations, self._large_upload
        if not failed:
            return
        for name in failed:
            self._servers[name].start_again()
        self._select(failed[0])
        names = ", ".join(printable(name) for name in failed)
        self._begin(f"Retrying: {names}", lambda: operations.retry(failed, large_upload=large))

    def action_go_on(self) -> None:
        """Show the report once the apply is over."""
        if self._is_over:
            self.post_message(ApplyEnded())

    def action_cancel(self) -> None:
        """Clear the log's filter, or ask how to cancel."""
        if self._log.store.text:
            self._log.show(text="")
            self._show_log_title()
        else:
            self._ask_to_cancel()

    @work
    async def _ask_to_cancel(self) -> None:
        operations = self._session.operations
        choice = await self.app.push_screen_wait(CancelDialog(self._progress))
        if self._is_over:
            return
        if choice == "stop":
            self._was_stopped = True
            self._say("Stopping before the next step and rolling back")
            operations.abort()
        elif choice == "skip":
            operations.skip_checks()
        elif choice == "leave":
            operations.stop()
            self.dismiss(None)

    def _progress(self) -> ApplyProgress:
        name, plan = self._servers.get(NAME_ROW), self._session.operations.plan
        generated = plan.materials.generated if plan is not None and not self._attaches else {}
        return ApplyProgress(
            tuple(self._servers.values()),
            self._is_checking,
            name.state if name else "",
            (*generated,),
            self._is_over,
            self._is_uninstalling,
        )
