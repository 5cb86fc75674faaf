"""A run that changes images: its steps, log and result."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.deploy.events import Event, StepBegan, WaitsUntil
from moorage.deploy.images.run import ImagesChange
from moorage.escape import one_line
from screens.images import run_texts
from screens.images.source import ImagesOnServers
from tui.run_dialog import RunDialog
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter

LEFT = "left"
"""The result of the dialog when the run was left running."""


class ImagesRunDialog(RunDialog[ImagesChange | str | None]):
    """Follows a run; closes by itself if it succeeds, and says why if it does not.

    Returns its result; :data:`LEFT` if it was left running; None if nothing is known about it.

    Args:
        title: The title.
        source: Changes the images.
        run: Runs or follows it; blocks.
        server: The server it runs on.
        clock_skew: How far the server's clock is ahead, in seconds.
    """

    def __init__(
        self,
        title: str,
        source: ImagesOnServers,
        run: Callable[[], ImagesChange],
        server: str,
        clock_skew: float = 0.0,
    ) -> None:
        super().__init__(title, (server,), "Cancel or leave")
        self._run = run
        self._source = source
        self._server = server
        self._skew = clock_skew
        self._until: float | None = None

    def run_it(self) -> ImagesChange:
        """Run or follow it; blocks."""
        return self._run()

    def new_events(self) -> list[Event]:
        """Return the events since the last call."""
        return self._source.events()

    def ending(self, result: ImagesChange | str | None) -> Content | None:
        """Return why it failed; None if it did not."""
        if not isinstance(result, ImagesChange) or result.is_good:
            return None
        return run_texts.failure_text(result)

    def take(self, event: Event) -> None:
        """Show an event, and until when the run waits."""
        if isinstance(event, StepBegan):
            self._until = None
        elif isinstance(event, WaitsUntil):
            self._until = event.until - self._skew
        super().take(event)

    def clock(self, began: float) -> str:
        """Return how long a step has taken, or until when it waits."""
        if self._until is None:
            return super().clock(began)
        return run_texts.until_text(self._until - time.time())

    def note(self) -> str:
        """Return that the run continues without Moorage, while it waits."""
        if self._until is None:
            return ""
        return (
            f"Moorage can be closed: the run continues on {one_line(self._server)}, and Images "
            "shows it."
        )

    @work
    async def action_cancel(self) -> None:
        """Ask whether to cancel the run or to leave it running."""
        answer = await self.app.push_screen_wait(CancelRunDialog(self._server))
        if self.has_ended:
            self.close_if_done()
        elif answer == "stop":
            self.is_cancelled = True
            self._source.cancel_run()
        elif answer == "leave":
            self.is_left = True
            self._source.stop()
            self.dismiss(LEFT)


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
