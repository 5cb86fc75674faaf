"""Runs: who applied what and when, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Static

from moorage.deploy.deployment import Deployment
from moorage.deploy.lifecycle.history import History, HistoryRow, Kind, read_history
from moorage.escape import one_line, printable
from moorage.rows import SIGNS, Level
from moorage.servers.run_results import RunStatus
from moorage.units import age_text
from screens.dashboard.tab import Tab
from tui.labels import explain
from tui.widgets.row_table import Column, RowTable


def _took(row: HistoryRow) -> str:
    seconds = row.seconds
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _age(row: HistoryRow) -> str:
    return age_text(row.at or None, time.time())


_AT = Column[HistoryRow]("When", _age, 11)
_BY = Column[HistoryRow]("By", lambda row: row.by or "-", 16, is_name=True)
_WHAT = Column[HistoryRow]("What", lambda row: row.what, 0)
_STATUS = Column[HistoryRow]("Result", lambda row: f"{SIGNS[row.level]} {row.status.label}", 13)
_TOOK = Column[HistoryRow]("Took", _took, 10)
_ENDING = Column[HistoryRow]("Result", lambda row: f"{SIGNS[row.level]} {row.ending}", 0)
_ROOM_FOR_ENDING = 84
_COLOURS = {Level.BAD: "bad", Level.WARNING: "warning"}


class _RunTable(RowTable[HistoryRow]):
    def columns(self, width: int) -> Sequence[Column[HistoryRow]]:
        """Return the columns that fit."""
        if width >= _ROOM_FOR_ENDING:
            return (_AT, _BY, _WHAT, _ENDING, _TOOK)
        return (_AT, _BY, _WHAT, _STATUS, _TOOK)

    def name_of(self, row: HistoryRow) -> object:
        """Return the run, or the change."""
        return row.run_id or (row.change.revision, row.change.at)

    def colour_of(self, row: HistoryRow) -> str:
        """Return the colour of how it ended."""
        return _COLOURS.get(row.level, "")


class RunsTab(Tab[History]):
    """The runs that the servers keep, and older changes from their records."""

    DEFAULT_CSS = """
    RunsTab #run-detail {
        height: auto; min-height: 3; max-height: 6; padding: 0 2; background: $surface;
    }
    """

    class LogRequested(Message):
        """Show a run's log.

        Attributes:
            row: The run.
        """

        def __init__(self, row: HistoryRow) -> None:
            super().__init__()
            self.row = row

    def compose_parts(self) -> ComposeResult:
        """Yield the table, and the selected row in full."""
        yield _RunTable(id="run-table")
        yield Static("", id="run-detail", markup=False)

    def read(self, deployment: Deployment) -> History:
        """Read the history."""
        return read_history(deployment)

    def show(self, found: History) -> str:
        """Show the runs; returns their number and what is missing."""
        self.query_one(_RunTable).show(found.rows)
        parts = [f"{len(found.rows)} run{'s' if len(found.rows) != 1 else ''}"]
        parts += [f"! {printable(error.server or '')}: {printable(explain(error))}"
                  for error in found.left_out]  # fmt: skip
        return " · ".join(parts)

    def on_row_table_moved(self) -> None:
        """Show the selected row in full."""
        row = self.query_one(_RunTable).row
        self.query_one("#run-detail", Static).update(_detail(row) if row is not None else "")
        self.post_message(self.Changed())

    @property
    def can_open(self) -> bool:
        """Whether the selected run's log is kept."""
        row = self.query_one(_RunTable).row
        return row is not None and bool(row.runs)

    def open_selected(self) -> None:
        """Show the selected run's log."""
        row = self.query_one(_RunTable).row
        if row is not None and row.runs:
            self.post_message(self.LogRequested(row))

    @property
    def deployed(self) -> HistoryRow | None:
        """The selected run if it deployed something; None otherwise."""
        row = self.query_one(_RunTable).row
        is_apply = row is not None and row.kind is Kind.APPLY and row.status is RunStatus.DONE
        return row if is_apply and row is not None and row.change.revision else None


def _detail(row: HistoryRow) -> str:
    """Return a run or change in full."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.at)) if row.at else "unknown"
    head = f"{when} by {one_line(row.operator) or 'unknown'}"
    if row.kind is Kind.SCHEDULED:
        head = f"{when} {row.by}"
    if row.revision:
        head += f" · revision {row.revision}"
    log = "" if row.runs else " · its log is no longer kept"
    return f"{head}{log}\n{one_line(row.what)}\n{SIGNS[row.level]} {one_line(row.ending)}"
