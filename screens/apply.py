"""Apply: how far every server is, and the log of the one that is selected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Footer, Log, Static

from moorage.deploy.events import STEPS, CheckEnded, LogLine, RunEnded, Staged, StepBegan, Warned
from moorage.deploy.visible import visible
from moorage.errors import MoorageError, ServersFailed
from moorage.state import private_folder, write_private
from tui.engine import Outcome
from tui.jobs import JobEnded, start_job
from tui.messages import ApplyOver, EngineEvents
from tui.session import Session
from tui.widgets.dialog import Dialog, TextDialog
from tui.widgets.header import HeaderBar
from tui.widgets.serverrow import ServerProgress, ServerRow

_MOST_LINES = 200_000


class CancelDialog(Dialog[str]):
    """Asks what cancelling is to mean now.

    Args:
        is_checking: Whether the runs are over and only the checks go on.
    """

    def __init__(self, *, is_checking: bool) -> None:
        super().__init__()
        self._is_checking = is_checking

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Cancel"
            text = (
                "The servers are done; only the checks go on. Leaving them out changes nothing "
                "on the servers."
                if self._is_checking
                else "Stop: every run stops before its next step and rolls back; servers that "
                "are done stay done.\n\nLeave: the runs go on by themselves on the servers. "
                "Opening these answers again shows them."
            )
            yield Static(text, classes="dialog--text", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Go on", id="back", variant="primary", compact=True)
                if self._is_checking:
                    yield Button("Leave the checks out", id="skip", compact=True)
                else:
                    yield Button("Leave", id="leave", compact=True)
                    yield Button("Stop and roll back", id="stop", variant="error", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "back")

    def action_refuse(self) -> None:
        """Go on."""
        self.dismiss("back")


class ApplyScreen(Screen[None]):
    """Applies the plan, or follows runs that go on, then checks.

    Args:
        session: The deployment that is open.
        attaches: Whether runs that go on already are followed instead.
        large_upload: Whether the checks send over 100 MB to each server.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "select(-1)", "Server", show=False, priority=True),
        Binding("down", "select(1)", "Server", show=False, priority=True),
        Binding("slash", "find", "Find"),
        Binding("s", "save_log", "Save the log"),
        Binding("enter", "go_on", "To the report"),
        Binding("escape", "cancel", "Cancel"),
    ]
    DEFAULT_CSS = """
    ApplyScreen #headline { height: auto; padding: 1 2 0 2; text-style: bold; }
    ApplyScreen #rows { height: auto; max-height: 30%; padding: 1 1; }
    ApplyScreen #log-title { height: 1; padding: 0 2; color: $text-muted; background: $surface; }
    ApplyScreen Log { height: 1fr; padding: 0 1; background: $surface; }
    ApplyScreen #ending { height: auto; max-height: 40%; padding: 0 2; display: none; }
    ApplyScreen #ending.-shown { display: block; }
    """

    def __init__(
        self, session: Session, *, attaches: bool = False, large_upload: bool = True
    ) -> None:
        super().__init__()
        self._session = session
        self._attaches = attaches
        self._large_upload = large_upload
        plan = session.engine.plan
        names = [server.server for server in plan.servers] if plan else []
        self._servers = {name: ServerProgress(name) for name in names}
        if plan and not attaches:
            for server in plan.servers:
                if not server.has_changes:
                    self._servers[server.server].end("unchanged", "nothing to change")
        self._selected = next(
            (name for name, each in self._servers.items() if each.state == "waiting"),
            names[0] if names else "",
        )
        self._find = ""
        self._is_over = False
        self._is_checking = False
        self._was_stopped = False

    def compose(self) -> ComposeResult:
        width = min(30, max((len(name) for name in self._servers), default=0))
        yield HeaderBar(self._session.draft.domain, "Apply")
        yield Static("", id="headline", markup=False)
        with VerticalScroll(id="rows", can_focus=False):
            for progress in self._servers.values():
                yield ServerRow(progress, width)
        yield Static("", id="log-title", markup=False)
        yield Log(max_lines=_MOST_LINES)
        yield Static("", id="ending", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin."""
        engine = self._session.engine
        self._say("Following the runs" if self._attaches else "Applying the plan")
        large = self._large_upload

        def work() -> Outcome:
            return engine.attach() if self._attaches else engine.apply(large_upload=large)

        start_job(self, "apply", work, engine.redactor)
        self.set_interval(0.5, self._redraw)
        self._select(self._selected)
        self.query_one(Log).focus()

    def _say(self, text: str) -> None:
        self.query_one("#headline", Static).update(Content(text))

    def _redraw(self) -> None:
        for row in self.query(ServerRow):
            row.refresh()

    @on(EngineEvents)
    def _happened(self, message: EngineEvents) -> None:
        fresh: list[str] = []
        for event in message.events:
            progress = self._servers.get(event.server)
            if progress is None:
                continue
            text = None
            match event:
                case StepBegan():
                    progress.begin_step(event.step)
                    text = f"── {progress.words}"
                case LogLine():
                    text = event.text
                case Warned():
                    text = f"! {event.text}"
                case Staged():
                    progress.words = "Ready, waiting for the others"
                case RunEnded(status="done"):
                    progress.end("done", "done")
                case RunEnded():
                    progress.end("bad", f"{event.status}: {event.message}")
                    text = f"── {event.status}: {event.message}"
                case CheckEnded():
                    self._begin_checks()
                    sign = {"good": "✓", "bad": "✗"}.get(event.status, "-")
                    progress.words = f"checked: {event.name}"
                    text = f"{sign} {event.name}: {' '.join(event.detail.split())}"
            if text is not None:
                line = visible(text)
                progress.lines.append(line)
                if event.server == self._selected and self._find.lower() in line.lower():
                    fresh.append(line)
        if fresh:
            self.query_one(Log).write_lines(fresh)
        self._redraw()

    def _begin_checks(self) -> None:
        if not self._is_checking:
            self._is_checking = True
            self._say("Checking the registry from outside: log in, push, pull, delete")

    def _select(self, name: str) -> None:
        self._selected = name
        for row in self.query(ServerRow):
            row.set_class(row.progress.name == name, "-selected")
        found = f", lines with “{self._find}”" if self._find else ""
        self.query_one("#log-title", Static).update(Content(f"Log of {visible(name)}{found}"))
        log = self.query_one(Log)
        log.clear()
        progress = self._servers.get(name)
        if progress is not None:
            wanted = self._find.lower()
            log.write_lines([line for line in progress.lines if wanted in line.lower()])

    @on(ServerRow.Clicked)
    def _clicked(self, event: ServerRow.Clicked) -> None:
        self._select(event.name)

    def action_select(self, step: int) -> None:
        """Select the next or previous server; with one server, scroll its log."""
        names = list(self._servers)
        if len(names) < 2:
            self.query_one(Log).scroll_relative(y=step, animate=False)
            return
        place = names.index(self._selected) + step
        self._select(names[place % len(names)])

    def action_find(self) -> None:
        """Show only the lines of the log that hold a text."""

        def found(text: str | None) -> None:
            if text is not None:
                self._find = text
                self._select(self._selected)

        self.app.push_screen(
            FindDialog("Find in the log", "Text", value=self._find, accept="Find",
                       help_text="Shows only lines with it; empty shows all"), found
        )  # fmt: skip

    def action_save_log(self) -> None:
        """Write the log of the selected server to a file."""
        progress = self._servers.get(self._selected)
        if progress is None:
            return
        name = "".join(each if each.isalnum() or each in ".-" else "_" for each in progress.name)
        path = private_folder("logs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}.log"
        try:
            write_private(path, "\n".join([*progress.lines, ""]).encode())
        except OSError as error:
            self.notify(f"{path} cannot be written: {error.strerror}", severity="error",
                        markup=False)  # fmt: skip
        else:
            self.notify(f"Saved in {path}", markup=False)

    @on(JobEnded)
    def _ended(self, event: JobEnded) -> None:
        self._is_over = True
        # The last events may still be on their way.
        self.set_timer(0.12, lambda: self._show_ending(event.result, event.error))

    def _show_ending(self, outcome: Outcome | None, error: MoorageError | None) -> None:
        if error is None and outcome is not None and outcome.is_good:
            self.post_message(ApplyOver())
            return
        lines: list[str] = []
        if error is not None:
            errors: Sequence[MoorageError] = (
                error.errors if isinstance(error, ServersFailed) else (error,)
            )
            for each in errors:
                lines.append(f"✗ {each}")
        elif outcome is not None:
            lines = self._faults_of(outcome)
        for progress in self._servers.values():
            if progress.state in {"waiting", "running"}:
                progress.end("bad", "not done")
        self._say("Stopped" if self._was_stopped else "Not everything went well")
        lines.append("Enter goes on to the report, s saves the log.")
        ending = self.query_one("#ending", Static)
        ending.update(Content(visible("\n".join(lines))))
        ending.add_class("-shown")
        self.refresh_bindings()
        self._redraw()

    def _faults_of(self, outcome: Outcome) -> list[str]:
        lines = []
        for server in outcome.report.servers if outcome.report else ():
            if not server.is_good:
                step = STEPS.get(server.step, server.step).lower()
                at = f" at: {step}" if step else ""
                lines.append(f"✗ {server.server}: {server.status}{at}. {server.message}")
                self._servers[server.server].end("bad", server.status)
        for run in outcome.ended:
            if run.status != "done":
                lines.append(f"✗ {run.server}: {run.status}. {run.message}")
        for check in outcome.verification.checks if outcome.verification else ():
            if check.status == "bad":
                detail = " ".join(check.detail.split())
                lines.append(f"✗ {check.server}: {check.name}: {detail}")
        return lines

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Going on is for the end."""
        return self._is_over if action == "go_on" else True

    def action_go_on(self) -> None:
        """Go on to the report once all is over."""
        if self._is_over:
            self.post_message(ApplyOver())

    def action_cancel(self) -> None:
        """Ask what cancelling is to mean, or go on when all is over."""
        if self._is_over:
            self.action_go_on()
            return

        def chosen(what: str | None) -> None:
            engine = self._session.engine
            if what == "stop":
                self._was_stopped = True
                self._say("Stopping before the next step, and rolling back")
                engine.abort()
            elif what == "skip":
                engine.skip_checks()
            elif what == "leave":
                engine.stop()
                self.dismiss(None)

        self.app.push_screen(CancelDialog(is_checking=self._is_checking), chosen)

    def on_key(self, event: events.Key) -> None:
        """Escape from a filtered log shows all of it again."""
        if event.key == "escape" and self._find:
            event.stop()
            event.prevent_default()
            self._find = ""
            self._select(self._selected)


class FindDialog(TextDialog):
    """A text to look for; empty is fine."""

    def fault(self, text: str) -> str:
        """Nothing is wrong with any text."""
        return ""
