"""One line per server: progress, current step and time left."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from moorage.deploy.events import STEPS, CheckEnded, step_title
from moorage.escape import printable

_BAR = 16
_WIDE = 90
"""Columns from which the lines have a bar."""
_SILENT = 20.0
"""Seconds without output after which the line says so."""
_RUN_STEPS = [step for step in STEPS if step not in {"connect", "probe", "rollback"}]
_STATES = {
    "waiting": ("○", "$text-muted"),
    "running": ("●", "$foreground"),
    "done": ("✓", "$text-success"),
    "unchanged": ("✓", "$text-success"),
    "bad": ("✗", "$text-error"),
}


@dataclass
class ServerProgress:
    """The progress of one server.

    Attributes:
        name: The server's label.
        state: waiting, running, done, unchanged or bad.
        words: The current step, or the result.
        share: The share that is done, 0 to 1.
        began: The time of its start; 0 before.
        ended: The time of its end; 0 before.
        heard: The time of its last event.
        step: The current step.
        expected: The seconds that each step is expected to take; empty if unknown.
        took: The seconds that each finished step took.
        steps: The steps that are planned; empty if unknown.
        checks: The checks after its run.
    """

    name: str
    state: str = "waiting"
    words: str = "waiting"
    share: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    heard: float = 0.0
    step: str = ""
    expected: Mapping[str, float] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    steps: Sequence[str] = ()
    checks: list[CheckEnded] = field(default_factory=list)
    _step_began: float = 0.0

    @property
    def elapsed(self) -> str:
        """Minutes and seconds since the start."""
        return _clock((self.ended or time.monotonic()) - self.began) if self.began else ""

    @property
    def remaining(self) -> float | None:
        """Seconds left, judged by earlier runs; None if unknown."""
        if self.state != "running" or not self.expected:
            return None
        to_come = sum(
            seconds
            for step, seconds in self.expected.items()
            if step not in self.took and step != self.step
        )
        here = self.expected.get(self.step, 0.0) - (time.monotonic() - self._step_began)
        return to_come + max(0.0, here)

    @property
    def silence(self) -> float:
        """Seconds since the last event of a running server; else 0."""
        return time.monotonic() - self.heard if self.state == "running" and self.heard else 0.0

    def begin_step(self, step: str) -> None:
        """Record the start of a step."""
        now = time.monotonic()
        self.began = self.began or now
        if self.step:
            self.took[self.step] = now - self._step_began
        self.step, self._step_began = step, now
        self.state = "running"
        self.words = step_title(step)
        if step in _RUN_STEPS:
            self.share = max(self.share, (_RUN_STEPS.index(step) + 0.5) / len(_RUN_STEPS))

    def end(self, state: str, words: str) -> None:
        """Record the result."""
        if self.step and not self.ended:
            self.took[self.step] = time.monotonic() - self._step_began
        self.state = state
        self.words = words
        self.ended = self.ended or time.monotonic()
        if state in {"done", "unchanged"}:
            self.share = 1.0

    def start_again(self) -> None:
        """Reset after a failed attempt."""
        self.state, self.words, self.step = "waiting", "waiting", ""
        self.share = self.began = self.ended = self.heard = 0.0
        self.took.clear()
        self.checks.clear()

    def now_share(self) -> float:
        """Return the share that is done, by time if that is known; never less than before."""
        remaining = self.remaining
        if remaining is not None and self.began:
            gone = time.monotonic() - self.began
            self.share = max(self.share, min(0.99, gone / max(0.1, gone + remaining)))
        return self.share


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02}"


class ServerRow(Widget):
    """One line: sign, server, bar, elapsed and remaining time, step; no bar if it is narrow."""

    DEFAULT_CSS = """
    ServerRow { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    ServerRow.-selected { background: $selection; text-style: bold; }
    """

    class Clicked(Message):
        """The row was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, progress: ServerProgress, width: int) -> None:
        super().__init__()
        self.progress = progress
        self._width = width

    def render(self) -> Content:
        """Draw the line."""
        progress = self.progress
        sign, colour = _STATES[progress.state]
        share = progress.now_share()
        # Without room for both, the step's words are worth more.
        bar = _BAR if self.size.width >= _WIDE else 0
        full = round(share * bar)
        name = printable(progress.name)[: self._width].ljust(self._width)
        pointer = ">" if self.has_class("-selected") else " "
        remaining = progress.remaining
        left = ""
        if remaining is not None and remaining >= 1:
            left = f"{_clock(remaining)} left"
        words = printable(progress.words)
        if progress.silence > _SILENT:
            words = f"silent for {int(progress.silence)} s: {words.lower()}"
        return (
            Content(pointer)
            + Content.styled(f"{sign} ", colour)
            + Content(f"{name} ")
            + Content.styled("━" * full, colour)
            + Content.styled("─" * (bar - full), "$text-muted")
            + Content(f"{' ' if bar else ''}{round(share * 100):>3}% {progress.elapsed:>4} ")
            + Content.styled(f"{left:<9} " if left else "", "$text-muted")
            + Content.styled(words, colour if progress.state == "bad" else "")
        )

    def on_click(self) -> None:
        """Select this server."""
        self.post_message(self.Clicked(self.progress.name))
