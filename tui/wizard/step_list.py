"""The list of steps on the left, each with a mark and a short summary."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tui.cells import cut_end
from tui.document.draft import Draft
from tui.document.steps import STEPS, Mark, Step
from tui.messages import StepRequested

_WIDTH = 20


class StepItem(Static):
    """A step in the list; a click opens it."""

    def __init__(self, step: Step) -> None:
        super().__init__("", id=f"step-{step.value}")
        self.step = step

    def show(self, mark: Mark, summary: str) -> None:
        """Show the step's mark and summary."""
        room = _WIDTH - 4 - len(self.step.label)
        short = cut_end(summary, max(1, room))
        gap = " " * max(1, room - len(short) + 1)
        colour = {
            Mark.DONE: "$text-success",
            Mark.WRONG: "$text-error",
            Mark.CHANGED: "$text-warning",
            Mark.CURRENT: "$foreground",
        }.get(mark, "$text-muted")
        title = "bold" if mark is Mark.CURRENT else ""
        self.update(
            Content.styled(f"{mark.value} ", colour)
            + Content.styled(self.step.label, title)
            + Content.styled(f"{gap}{short}", "$text-muted")
        )
        self.set_class(mark is Mark.CURRENT, "-current")
        self.tooltip = f"{self.step.label}: {mark.meaning}"

    def on_click(self) -> None:
        """Open the step."""
        self.post_message(StepRequested(self.step))


class StepList(Vertical):
    """All steps in order.

    Args:
        title: The title.
    """

    DEFAULT_CSS = """
    StepList {
        width: 22; height: 1fr; background: $surface;
    }
    StepList .steps--keys { color: $text-muted; padding-left: 1; height: 1; }
    StepItem { height: 1; width: 1fr; padding-left: 1; }
    StepItem:hover { background: $panel; }
    StepItem.-current { background: $panel; }
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        title = f"{self._title}: Alt+1 to {len(STEPS)}"
        yield Static(title, classes="steps--keys", markup=False)
        for step in STEPS:
            yield StepItem(step)

    def show(self, rows: Sequence[tuple[Step, Mark, str]]) -> None:
        """Show the marks and summaries."""
        for step, mark, summary in rows:
            self.query_one(f"#step-{step.value}", StepItem).show(mark, summary)


def summary_of(step: Step, draft: Draft) -> str:
    """Return a word about the answers of a step."""
    drivers = {"filesystem": "disk", "s3": "S3"}
    modes = {"private_ca": "private CA", "acme": "ACME", "files": "own files", "none": "none"}
    providers, dns = {"lexicon": "provider"}, draft.text("dns.provider")
    words = {
        Step.SERVERS: str(len(draft.items("servers")) or ""),
        Step.CREDENTIALS: str(len(draft.items("credentials.users")) or ""),
        Step.STORAGE: drivers.get(draft.text("storage.driver"), "disk"),
        Step.DNS: providers.get(dns, dns) or "manual",
        Step.SSL: modes.get(draft.text("ssl.mode"), "private CA"),
        Step.ADVANCED: draft.text("registry.runtime") or "package",
    }
    return words.get(step, "")
