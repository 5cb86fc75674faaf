"""A run that changes images: its steps, log and result."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.deploy.events import Event, LogLine, StepBegan, WaitsUntil, step_title
from moorage.deploy.images_run import ImagesChange
from moorage.deploy.log_rows import Level, run_level_of
from moorage.errors import MoorageError
from moorage.escape import one_line, printable
from screens.images import run_texts
from screens.images.source import ImagesOnServers
from tui.actions import bindings
from tui.labels import describe_error
from tui.tasks import in_thread
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter
from tui.widgets.log_store import LogEntry
from tui.widgets.log_view import LogView

_NOT_SHOWN = {"connect", "probe"}
LEFT = "left"
"""The result of the dialog when the run was left running."""


class RunDialog(Dialog[ImagesChange | str | None]):
    """Follows a run; closes by itself if it succeeds, and says why if it does not.

    Returns its result; :data:`LEFT` if it was left running; None if nothing is known about it.

    Args:
        title: The title.
        source: Changes the images.
        run: Runs or follows it; blocks.
        server: The server it runs on.
        clock_skew: How far the server's clock is ahead, in seconds.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("images_run")
    DEFAULT_CSS = """
    RunDialog > .dialog--box { width: 104; height: 90%; }
    RunDialog #steps { height: auto; max-height: 11; margin-bottom: 1; }
    RunDialog LogView { height: 1fr; min-height: 3; margin-bottom: 1; }
    RunDialog #outcome { height: auto; max-height: 6; margin-bottom: 1; display: none; }
    RunDialog #outcome.-shown { display: block; }
    """

    def __init__(
        self,
        title: str,
        source: ImagesOnServers,
        run: Callable[[], ImagesChange],
        server: str,
        clock_skew: float = 0.0,
    ) -> None:
        super().__init__()
        self._title = title
        self._source = source
        self._run = run
        self._server = server
        self._skew = clock_skew
        self._steps: list[tuple[str, float]] = []
        self._until: float | None = None
        self._change: ImagesChange | None = None
        self._has_ended = False
        self._is_left = False
        self._is_cancelled = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = self._title
            with VerticalScroll(id="steps", can_focus=False):
                yield Static("", id="step-lines", markup=False)
            yield LogView()
            yield Static("", id="outcome", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Cancel or leave", id="cancel", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start or follow the run."""
        self.query_one(LogView).show(server=self._server)
        self.set_focus(self.query_one("#cancel"))
        self._began = time.monotonic()
        self._show_steps()
        self.set_interval(0.2, self._pump)
        self._follow()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to cancel while it runs, and to close it once it has ended."""
        if action == "cancel":
            return not self._has_ended
        if action == "refuse":
            return self._has_ended
        return super().check_action(action, parameters)

    @work
    async def _follow(self) -> None:
        try:
            change, failure = await in_thread(self._run), None
        except MoorageError as error:
            change, failure = None, error
        if self._is_left:
            return
        self._pump()
        self._has_ended, self._change = True, change
        if change is not None and change.is_good:
            self._close()
            return
        text = (
            run_texts.failure_text(change)
            if change is not None
            else Content.styled("✗ ", "bold $text-error")
            + Content(printable(describe_error(failure)) if failure is not None else "")
        )
        outcome = self.query_one("#outcome", Static)
        outcome.update(text)
        outcome.add_class("-shown")
        button = self.query_one("#cancel", Button)
        button.label, button.variant = "Close", "primary"
        self._show_steps()
        self.refresh_bindings()

    def _close(self) -> None:
        # A question about this run may be above it, which closes first.
        if self.app.screen is self:
            self.dismiss(self._change)

    def _pump(self) -> None:
        for event in self._source.events():
            self._take(event)
        if not self._has_ended:
            self._show_steps()

    def _take(self, event: Event) -> None:
        log = self.query_one(LogView)
        if isinstance(event, StepBegan) and event.step not in _NOT_SHOWN:
            self._steps.append((event.step, time.monotonic()))
            self._until = None
            log.add([LogEntry(self._server, Level.STEP, step_title(event.step))])
        elif isinstance(event, WaitsUntil):
            self._until = event.until - self._skew
        elif isinstance(event, LogLine):
            step = self._steps[-1][0] if self._steps else ""
            log.add([LogEntry(self._server, run_level_of(event.text, step), event.text)])

    def _show_steps(self) -> None:
        lines = [
            Content.styled("✓ ", "$text-success") + Content(step_title(step))
            for step, _ in self._steps[:-1]
        ]
        step, began = self._steps[-1] if self._steps else ("connect", self._began)
        sign, colour = ("✗ ", "$text-error") if self._has_ended else ("● ", "$accent")
        clock = f"{int(time.monotonic() - began)} s"
        if self._until is not None:
            clock = run_texts.until_text(self._until - time.time())
        if self._is_cancelled:
            clock += ", cancelling"
        line = Content.styled(sign, colour) + Content.styled(step_title(step), "bold")
        lines.append(line if self._has_ended else line + Content.styled(f"  {clock}", "$accent"))
        if self._until is not None and not self._has_ended:
            lines.append(
                Content.styled(
                    f"  Moorage can be closed: the run continues on {one_line(self._server)}, and "
                    "Images shows it.",
                    "$text-muted",
                )
            )
        self.query_one("#step-lines", Static).update(Content("\n").join(lines))
        self.query_one("#steps").scroll_end(animate=False)

    @on(Button.Pressed)
    def _pressed(self) -> None:
        if self._has_ended:
            self.action_refuse()
        else:
            self.action_cancel()

    @work
    async def action_cancel(self) -> None:
        """Ask whether to cancel the run or to leave it running."""
        answer = await self.app.push_screen_wait(CancelRunDialog(self._server))
        if self._has_ended:
            if self._change is not None and self._change.is_good:
                self.dismiss(self._change)
        elif answer == "stop":
            self._is_cancelled = True
            self._source.cancel_run()
        elif answer == "leave":
            self._is_left = True
            self._source.stop()
            self.dismiss(LEFT)

    def action_refuse(self) -> None:
        """Close, or ask while it runs: Ctrl+C does this, too."""
        if self._has_ended:
            self.dismiss(self._change)
        else:
            self.action_cancel()


class CancelRunDialog(Dialog[str]):
    """Continue to watch, leave or cancel a run.

    Args:
        server: The server it runs on.
    """

    def __init__(self, server: str) -> None:
        super().__init__()
        self._server = server

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Cancel the run"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(
                    "Cancel: the run stops before its next step. What it has moved to the trash by "
                    "then stays there and can be restored.\n\n"
                    f"Leave: the run continues on {one_line(self._server)}, also if Moorage is "
                    "closed. Images shows it when it is opened again.",
                    classes="dialog--text",
                    markup=False,
                )
            with Horizontal(classes="dialog--buttons"):
                yield Button("Keep watching", id="back", variant="primary", compact=True)
                yield Button("Leave it running", id="leave", compact=True)
                yield Button("Cancel the run", id="stop", variant="error", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the button that changes nothing."""
        self.set_focus(self.query_one("#back"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "back")

    def action_refuse(self) -> None:
        """Keep watching."""
        self.dismiss("back")
