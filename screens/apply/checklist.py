"""The steps of a server's run, and the checks after it, as a checklist."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from moorage.deploy.events import STEPS, CheckEnded, CheckStatus, step_title
from moorage.escape import printable
from moorage.rows import SIGNS, Level
from tui.signs import COLOURS
from tui.widgets.server_row import ServerProgress

_ORDER = list(STEPS)
_FORWARD = {*STEPS} - {"rollback"}
_TO_COME = "○"


class Checklist(Vertical):
    """A line for each step and check: done, current, failed, skipped or to come."""

    DEFAULT_CSS = """
    Checklist { width: 56; height: 1fr; }
    Checklist > .checklist--title {
        height: 1; padding: 0 2; color: $text-muted; background: $panel;
    }
    Checklist > VerticalScroll { height: 1fr; padding: 0 2; }
    Checklist .checklist--lines {
        height: auto; text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._title = Static("", classes="checklist--title", markup=False)
        self._lines = Static("", classes="checklist--lines")
        self._heard = 0.0

    def compose(self) -> ComposeResult:
        yield self._title
        with VerticalScroll():
            yield self._lines

    @property
    def lines(self) -> VerticalScroll:
        """The lines, which scroll."""
        return self.query_one(VerticalScroll)

    def show(self, progress: ServerProgress | None) -> None:
        """Show the steps and checks of a server; nothing without one."""
        name = f"Steps on {printable(progress.name)}" if progress is not None else ""
        self._title.update(Content(name))
        lines = checklist(progress) if progress is not None else []
        self._lines.update(Content("\n").join(lines))
        if progress is not None and progress.heard != self._heard:
            # Else the operator can scroll.
            self._heard = progress.heard
            self.call_after_refresh(self._show_reached, lines)

    def _show_reached(self, lines: Sequence[Content]) -> None:
        """Scroll to the last line that is not still to come."""
        reached = [number for number, line in enumerate(lines) if line.plain[0] != _TO_COME]
        bottom = reached[-1] + 1 if reached else 0
        y = max(0, bottom - self.lines.scrollable_content_region.height)
        self.lines.scroll_to(y=y, animate=False)


def checklist(progress: ServerProgress) -> list[Content]:
    """Return a line for each step of a run, planned or begun, and for each check after it."""
    begun = {*progress.took, progress.step} - {""}
    steps = {step for step in {*progress.steps, *begun} if step in STEPS}
    if progress.state == "unchanged":
        steps.clear()
    reached = max((_ORDER.index(step) for step in begun & _FORWARD), default=-1)
    if progress.state == "done":
        reached = len(_ORDER)
    return [
        *(
            _step_line(progress, step, is_skipped=step not in begun and place < reached)
            for place, step in enumerate(_ORDER)
            if step in steps
        ),
        *map(_check_line, progress.checks),
    ]


def checks_in_words(checks: Sequence[CheckEnded]) -> str:
    """Summarize the checks of a server so far, failures first."""
    names = {
        status: [check.name for check in checks if check.status is status] for status in CheckStatus
    }
    bad, good, skipped = (
        names[each] for each in (CheckStatus.BAD, CheckStatus.GOOD, CheckStatus.SKIPPED)
    )
    if bad:
        what = "check" if len(bad) == 1 else f"{len(bad)} checks"
        return f"{what} failed: {', '.join(bad)}"
    parts = [f"{len(good)} check{'s' if len(good) != 1 else ''} passed"] if good else []
    parts += [f"{len(skipped)} not done"] if skipped else []
    return ", ".join(parts)


def _failed_step(progress: ServerProgress) -> str:
    """Return the step that failed: the last one, or the one before the rollback."""
    begun = [step for step in (*progress.took, progress.step) if step != "rollback"]
    return begun[-1] if begun else ""


def _step_line(progress: ServerProgress, step: str, *, is_skipped: bool) -> Content:
    title = printable(step_title(step))
    if is_skipped:
        return Content.styled(f"{SIGNS[Level.SKIPPED]} {title}: not needed", "$text-muted")
    if step == progress.step and progress.state == "running":
        return Content.styled(f"● {title}", "bold")
    if progress.state == "bad" and step == _failed_step(progress) and not progress.checks:
        return Content.styled(f"✗ {title}", "$text-error")
    if step in progress.took:
        seconds = f"  {progress.took[step]:.0f} s" if progress.took[step] >= 1 else ""
        return (
            Content.styled("✓ ", "$text-success")
            + Content(title)
            + Content.styled(seconds, "$text-muted")
        )
    return Content.styled(f"{_TO_COME} {title}", "$text-muted")


def _check_line(check: CheckEnded) -> Content:
    level = check.status.level
    detail = " ".join(check.detail.split())
    is_bad = check.status is CheckStatus.BAD
    return (
        Content.styled(f"{SIGNS[level]} ", COLOURS[level])
        + Content.styled(printable(check.name), COLOURS[level] if is_bad else "")
        + Content.styled(f"  {printable(detail)}", "$text-muted")
    )
