"""A dialog that follows a run on servers: its steps, its log and its result."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.deploy.events import Event, LogLine, StepBegan, step_title
from moorage.deploy.logs.rows import Level, run_level_of
from moorage.errors import MoorageError
from moorage.escape import one_line, printable
from tui.actions import bindings
from tui.labels import describe_error
from tui.tasks import in_thread
from tui.widgets.button import relabel
from tui.widgets.dialog import Dialog, Result
from tui.widgets.key_footer import KeyFooter
from tui.widgets.log_store import LogEntry
from tui.widgets.log_view import LogView

_NOT_SHOWN = {"connect", "probe"}


class RunDialog(Dialog[Result]):
    """Follows a run. Returns its result; None if nothing is known about it.

    Args:
        title: The title.
        servers: The servers it runs on.
        cancel: The label of the button while it runs.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("run_dialog")
    DEFAULT_CSS = """
    RunDialog > .dialog--box { width: 104; height: 90%; }
    RunDialog #steps { height: auto; max-height: 35%; margin-bottom: 1; }
    RunDialog LogView { height: 1fr; min-height: 3; margin-bottom: 1; }
    RunDialog #outcome { height: auto; max-height: 6; margin-bottom: 1; display: none; }
    RunDialog #outcome.-shown { display: block; }
    """

    def __init__(self, title: str, servers: Sequence[str], cancel: str) -> None:
        super().__init__()
        self._title = title
        self._servers = tuple(servers)
        self._cancel_label = cancel
        self._steps: dict[str, list[tuple[str, float]]] = {name: [] for name in servers}
        self._result: Result | None = None
        self.has_ended = False
        self.is_left = False
        self.is_cancelled = False

    def run_it(self) -> Result:
        """Run or follow it; blocks.

        Raises:
            MoorageError: It is not possible.
        """
        raise NotImplementedError

    def new_events(self) -> Iterable[Event]:
        """Return the events since the last call."""
        raise NotImplementedError

    def ending(self, result: Result) -> Content | None:
        """Return what to say about a result; None closes the dialog at once."""
        raise NotImplementedError

    def clock(self, began: float) -> str:
        """Return how long a step has taken, or will take."""
        return f"{int(time.monotonic() - began)} s"

    def note(self) -> str:
        """Return a line to show below the steps while it runs; empty for none."""
        return ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = self._title
            with VerticalScroll(id="steps", can_focus=False):
                yield Static("", id="step-lines", markup=False)
            yield LogView()
            with VerticalScroll(id="outcome", can_focus=False):
                yield Static("", id="outcome-text", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button(self._cancel_label, id="cancel", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start or follow the run."""
        self.query_one(LogView).show(server=self._servers[0] if len(self._servers) == 1 else None)
        self.set_focus(self.query_one("#cancel"))
        self._began = time.monotonic()
        self._show_steps()
        self.set_interval(0.2, self._pump)
        self._follow()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to cancel while it runs, and to close it once it has ended."""
        if action == "cancel":
            return not self.has_ended
        if action == "refuse":
            return self.has_ended
        return super().check_action(action, parameters)

    @work
    async def _follow(self) -> None:
        try:
            self._result = result = await in_thread(self.run_it)
            text = self.ending(result)
        except MoorageError as error:
            text = Content.styled("✗ ", "bold $text-error")
            text += Content(printable(describe_error(error)))
        if self.is_left:
            return
        self._pump()
        self.has_ended = True
        if text is None:
            self._close()
            return
        self.query_one("#outcome-text", Static).update(text)
        self.query_one("#outcome").add_class("-shown")
        button = self.query_one("#cancel", Button)
        relabel(button, "Close")
        button.variant = "primary"
        self._show_steps()
        self.refresh_bindings()

    def _close(self) -> None:
        # A question about this run may be above it, which closes first.
        if self.app.screen is self:
            self.dismiss(self._result)

    def close_if_done(self) -> None:
        """Close it after a question, if it has ended meanwhile and has nothing to say."""
        if self._result is not None and self.ending(self._result) is None:
            self.dismiss(self._result)

    def _pump(self) -> None:
        for event in self.new_events():
            self.take(event)
        if not self.has_ended:
            self._show_steps()

    def take(self, event: Event) -> None:
        """Show an event."""
        log = self.query_one(LogView)
        steps = self._steps.setdefault(event.server, [])
        if isinstance(event, StepBegan) and event.step not in _NOT_SHOWN:
            steps.append((event.step, time.monotonic()))
            log.add([LogEntry(event.server, Level.STEP, step_title(event.step))])
        elif isinstance(event, LogLine):
            level = run_level_of(event.text, steps[-1][0] if steps else "")
            log.add([LogEntry(event.server, level, event.text)])

    def is_good_on(self, server: str) -> bool:
        """Return whether the run has ended well on a server."""
        return False

    def _show_steps(self) -> None:
        lines: list[Content] = []
        for server, steps in self._steps.items():
            if len(self._steps) > 1:
                lines.append(Content.styled(one_line(server), "bold"))
            lines += self._step_lines(server, steps)
        if not self.has_ended and (note := self.note()):
            lines.append(Content.styled(f"  {note}", "$text-muted"))
        self.query_one("#step-lines", Static).update(Content("\n").join(lines))
        self.query_one("#steps").scroll_end(animate=False)

    def _step_lines(self, server: str, steps: Sequence[tuple[str, float]]) -> list[Content]:
        done = Content.styled("✓ ", "$text-success")
        lines = [done + Content(step_title(step)) for step, _ in steps[:-1]]
        step, began = steps[-1] if steps else ("connect", self._began)
        title = Content.styled(step_title(step), "bold")
        if not self.has_ended:
            clock = self.clock(began) + (", cancelling" if self.is_cancelled else "")
            current = Content.styled("● ", "$accent") + title
            return [*lines, current + Content.styled(f"  {clock}", "$accent")]
        if self.is_good_on(server):
            return [*lines, done + Content(step_title(step))]
        return [*lines, Content.styled("✗ ", "$text-error") + title]

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.action_refuse()

    def action_cancel(self) -> object:
        """Ask whether to cancel the run."""
        raise NotImplementedError

    def action_refuse(self) -> None:
        """Close, or ask while it runs: Ctrl+C does this, too."""
        if self.has_ended:
            self.dismiss(self._result)
        else:
            self.action_cancel()
