"""The steps of a server's run as a checklist."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from moorage.deploy.events import STEPS, step_title
from moorage.escape import printable
from tui.widgets.server_row import ServerProgress

_ORDER = list(STEPS)


class Checklist(Static):
    """A line for each step: done, current, failed or to come."""

    DEFAULT_CSS = """
    Checklist {
        width: 56; height: 1fr; padding: 0 2; display: none;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def show(self, progress: ServerProgress | None) -> None:
        """Show the steps of a server; nothing without one."""
        lines = checklist(progress) if progress is not None else []
        self.update(Content("\n").join(lines))


def checklist(progress: ServerProgress) -> list[Content]:
    """Return a line for each step of a run, planned or begun."""
    begun = {*progress.took, progress.step} - {""}
    steps = {step for step in {*progress.steps, *begun} if step in STEPS}
    if progress.state == "unchanged":
        return []
    return [_line(progress, step) for step in sorted(steps, key=_ORDER.index)]


def _failed_step(progress: ServerProgress) -> str:
    """Return the step that failed: the last one, or the one before the rollback."""
    begun = [step for step in (*progress.took, progress.step) if step != "rollback"]
    return begun[-1] if begun else ""


def _line(progress: ServerProgress, step: str) -> Content:
    title = printable(step_title(step))
    if step == progress.step and progress.state == "running":
        return Content.styled(f"● {title}", "bold")
    if progress.state == "bad" and step == _failed_step(progress):
        return Content.styled(f"✗ {title}", "$text-error")
    if step in progress.took:
        seconds = f"  {progress.took[step]:.0f} s" if progress.took[step] >= 1 else ""
        return (
            Content.styled("✓ ", "$text-success")
            + Content(title)
            + Content.styled(seconds, "$text-muted")
        )
    return Content.styled(f"○ {title}", "$text-muted")
