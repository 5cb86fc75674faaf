"""The log of a past run."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from moorage.deploy.deployment import Deployment
from moorage.deploy.events import LogLine, StepBegan, step_title
from moorage.deploy.lifecycle.history import HistoryRow, read_run_log
from moorage.deploy.logs.rows import Level, run_level_of
from moorage.errors import MoorageError
from moorage.escape import one_line, printable
from moorage.servers.transport import Cancel
from screens.dashboard.tab import Reader
from tui.actions import bindings
from tui.labels import describe_error
from tui.styled_once import StyledOnce
from tui.tasks import in_thread
from tui.widgets.dialog import FindDialog
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.widgets.log_store import LogEntry
from tui.widgets.log_view import LogView


class RunLogScreen(StyledOnce[None]):
    """Reads a run's log from each server that has it.

    Args:
        reader: Reads the servers.
        row: The run.
        registry: The registry's name.
    """

    help_text = "The log of a run, as its servers keep it: its last 1 MiB."
    BINDINGS: ClassVar[list[BindingType]] = bindings("run_log")
    DEFAULT_CSS = """
    RunLogScreen #log-title {
        height: auto; max-height: 4; padding: 0 2; color: $text-muted; background: $surface;
    }
    RunLogScreen LogView { height: 1fr; }
    """

    def __init__(self, reader: Reader, row: HistoryRow, registry: str) -> None:
        super().__init__()
        self._reader = reader
        self._row = row
        self._registry = registry
        self._cancel = Cancel()

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._registry, "Run")
        yield Static("", id="log-title", markup=False)
        yield LogView()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the log."""
        log, servers = self.query_one(LogView), self._row.runs
        if len(servers) == 1:
            log.show(server=servers[0].server)
        log.focus()
        self._say(Content(f"Reading the log of {self._row.run_id}"))
        for run in servers:
            self._read(run.server)

    def on_unmount(self) -> None:
        """Stop reading."""
        self._cancel.set()

    @work(group="log")
    async def _read(self, server: str) -> None:
        def read(deployment: Deployment) -> list[StepBegan | LogLine]:
            return read_run_log(deployment, server, self._row.run_id)

        try:
            answers = self._reader.answers()
            lines = await in_thread(lambda: self._reader.read(answers, read, self._cancel))
        except MoorageError as error:
            text = f"✗ {printable(describe_error(error))}"
            self.query_one(LogView).add([LogEntry(server, Level.ERROR, one_line(text))])
        else:
            self.query_one(LogView).add(entries_of(lines))
        self._say(Content(f"{one_line(self._row.what)}: {one_line(self._row.ending)}"))

    def _say(self, text: Content) -> None:
        self.query_one("#log-title", Static).update(text)

    @work
    async def action_find(self) -> None:
        """Show only the lines that contain a text."""
        log = self.query_one(LogView)
        text = await self.app.push_screen_wait(FindDialog("Find in the log", log.store.text))
        if text is not None:
            log.show(text=text.strip())

    def action_copy_log(self) -> None:
        """Copy the lines that are shown, up to the last 1,000."""
        lines = self.query_one(LogView).store.lines()[-1000:]
        self.app.copy_to_clipboard("\n".join(lines))
        self._say(Content(f"✓ Copied {len(lines)} line{'s' if len(lines) != 1 else ''}"))

    def action_sideways(self, columns: int) -> None:
        """Scroll long lines sideways."""
        self.query_one(LogView).scroll_relative(x=columns, animate=False)

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)


def entries_of(lines: list[StepBegan | LogLine]) -> list[LogEntry]:
    """Return the lines of a run's log with their levels.

    Args:
        lines: The lines and steps.
    """
    step, entries = "", []
    for each in lines:
        if isinstance(each, StepBegan):
            step = each.step
            entries.append(LogEntry(each.server, Level.STEP, step_title(step)))
        else:
            level = run_level_of(each.text, step)
            entries.append(LogEntry(each.server, level, each.text))
    return entries
