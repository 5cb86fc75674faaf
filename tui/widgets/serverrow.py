"""One line per server: how far it is, and what it is doing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from moorage.deploy.events import STEPS
from moorage.deploy.visible import visible

_BAR = 16
_RUN_STEPS = [step for step in STEPS if step not in {"connect", "probe", "rollback"}]
_STATES = {
    "waiting": ("○", "$text-muted"),
    "running": ("●", "$primary"),
    "done": ("✓", "$text-success"),
    "unchanged": ("✓", "$text-success"),
    "bad": ("✗", "$text-error"),
}


@dataclass
class ServerProgress:
    """How far one server is.

    Attributes:
        name: The server's label.
        state: waiting, running, done, unchanged or bad.
        words: What it is doing, or how it ended.
        share: How much of it is done, 0 to 1.
        began: When it began; 0 before.
        ended: When it ended; 0 before.
        lines: Its log.
    """

    name: str
    state: str = "waiting"
    words: str = "waiting"
    share: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    lines: list[str] = field(default_factory=list)

    @property
    def elapsed(self) -> str:
        """Minutes and seconds since it began."""
        if not self.began:
            return "    "
        seconds = int((self.ended or time.monotonic()) - self.began)
        return f"{seconds // 60}:{seconds % 60:02}"

    def begin_step(self, step: str) -> None:
        """Note that a step began."""
        self.began = self.began or time.monotonic()
        self.state = "running"
        self.words = STEPS.get(step, step)
        if step in _RUN_STEPS:
            self.share = max(self.share, (_RUN_STEPS.index(step) + 0.5) / len(_RUN_STEPS))

    def end(self, state: str, words: str) -> None:
        """Note how it ended."""
        self.state = state
        self.words = words
        self.ended = self.ended or time.monotonic()
        if state in {"done", "unchanged"}:
            self.share = 1.0


class ServerRow(Widget):
    """One line: sign, server, bar, elapsed time, step."""

    DEFAULT_CSS = """
    ServerRow { height: 1; padding: 0 1; }
    ServerRow.-selected { background: $panel; text-style: bold; }
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
        full = round(progress.share * _BAR)
        name = visible(progress.name)[: self._width].ljust(self._width)
        percent = f"{round(progress.share * 100):>3}%"
        pointer = ">" if self.has_class("-selected") else " "
        return (
            Content(pointer)
            + Content.styled(f"{sign} ", colour)
            + Content(f"{name} ")
            + Content.styled("━" * full, colour)
            + Content.styled("─" * (_BAR - full), "$text-muted")
            + Content(f" {percent} {progress.elapsed:>5}  ")
            + Content.styled(visible(progress.words), colour if progress.state == "bad" else "")
        )

    def on_click(self) -> None:
        """Select this server."""
        self.post_message(self.Clicked(self.progress.name))
