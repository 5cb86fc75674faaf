"""Show the progress of a run: as a live table, plain lines, or JSON Lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from moorage.cli.events_view import event_as_json
from moorage.cli.output import Output
from moorage.cli.tables import STYLES
from moorage.deploy.events import (
    STEPS,
    CheckEnded,
    CheckStatus,
    Event,
    LogLine,
    RunEnded,
    StepBegan,
    Warned,
    ending_in_words,
    step_title,
)
from moorage.rows import SIGNS, Level

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderResult
    from rich.text import Text

    from moorage.servers.run_results import RunStatus


class Progress:
    """Ignores events; the base class."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.Lock()

    def on_event(self, event: Event) -> None:
        """Show an event; thread-safe."""

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Free the terminal for a prompt."""
        yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class JsonProgress(Progress):
    """Prints one JSON line per event."""

    def on_event(self, event: Event) -> None:
        """Print an event as JSON."""
        self._output.emit(event_as_json(event))


class PlainProgress(Progress):
    """Prints one line per event, for logs and pipes."""

    def on_event(self, event: Event) -> None:
        """Print an event as a line."""
        line = _sentence(event)
        if line:
            with self._lock:
                self._output.message(f"{event.server}: {line}")


class LiveProgress(Progress):
    """Shows one line per server, updated in place, below the log.

    Args:
        output: The output.
        servers: The labels of the servers, in order.
        with_log: Whether to show log lines.
    """

    def __init__(self, output: Output, servers: Sequence[str], *, with_log: bool) -> None:
        from rich.live import Live

        super().__init__(output)
        self._with_log = with_log
        self._rows = {server: _Row(server) for server in servers}
        self._live = Live(
            self, console=output.stderr, refresh_per_second=8, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def on_event(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, LogLine):
            if self._with_log:
                self._output.stderr.print(
                    self._output.text((f"{event.server}  ", "dim"), event.text)
                )
            return
        if isinstance(event, Warned):
            self._output.stderr.print(
                self._output.text((f"{event.server}  ", "dim"), (f"! {event.text}", "yellow"))
            )
            return
        with self._lock:
            row = self._rows.setdefault(event.server, _Row(event.server))
            row.update(event)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Hide the table during a prompt."""
        was_shown = self._live.is_started
        if was_shown:
            self._live.stop()
        try:
            yield
        finally:
            if was_shown:
                self._live.start(refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __rich_console__(self, _: object, options: ConsoleOptions) -> RenderResult:
        """Draw the table; called by rich several times a second."""
        width = max((len(server) for server in self._rows), default=0)
        with self._lock:
            lines = [row.line(self._output, width) for row in self._rows.values()]
        for line in lines:
            line.truncate(options.max_width, overflow="ellipsis")
            yield line


class _Row:
    """One server of the live table."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._began = time.monotonic()
        self._ended: float | None = None
        self._title = "Waiting"
        self._number = ""
        self._status: RunStatus | None = None

    def update(self, event: Event) -> None:
        if isinstance(event, RunEnded):
            self._status, self._ended = event.status, time.monotonic()
        elif isinstance(event, CheckEnded):
            self._status, self._ended = None, None
            self._title = f"Verified: {event.name}"
        elif isinstance(event, StepBegan):
            steps = list(STEPS)
            if event.step == steps[0]:
                self._began, self._status, self._ended = time.monotonic(), None, None
            if event.step in STEPS:
                self._number = f"{steps.index(event.step) + 1}/{len(steps) - 1}"
            self._title = step_title(event.step)

    def line(self, output: Output, width: int) -> Text:
        seconds = int((self._ended or time.monotonic()) - self._began)
        clock = f"{seconds // 60}:{seconds % 60:02d}"
        level = self._status.level if self._status else Level.PENDING
        title = self._title if not self._status else f"{self._status.label} ({self._title})"
        return output.text(
            (f"{SIGNS[level]} ", STYLES[level]),
            f"{self._server:<{width}}  ",
            (f"{clock:>5}  ", "dim"),
            title,
        )


def show_progress(output: Output, servers: Sequence[str], *, with_log: bool = True) -> Progress:
    """Return the progress display for the output.

    Args:
        output: The output.
        servers: The labels of the servers, in order.
        with_log: Whether a live table also shows log lines.
    """
    if output.as_json:
        return JsonProgress(output) if output.is_stream else Progress(output)
    if output.is_live:
        return LiveProgress(output, servers, with_log=with_log)
    return PlainProgress(output)


def _sentence(event: Event) -> str:
    match event:
        case StepBegan():
            return step_title(event.step)
        case LogLine():
            return f"| {event.text}"
        case Warned():
            return f"! {event.text}"
        case RunEnded():
            return ending_in_words(event.status, "", event.message)
        case CheckEnded():
            # The table of the checks says why one was skipped.
            is_skipped = event.status is CheckStatus.SKIPPED
            how = "not checked" if is_skipped else f"{event.status}, {event.detail}"
            return f"{event.name}: {how}"
    return ""
