"""Activity: requests and bytes of the last hour, pushes and pulls, and failed requests."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Sparkline, Static

from moorage.deploy.deployment import Deployment
from moorage.deploy.images.activity import Activity, Event, Failures, read_activity
from moorage.deploy.logs.rows import LogFilter
from moorage.escape import printable
from moorage.units import age_text, date_text, size_text
from screens.dashboard.tab import Tab
from tui.labels import explain
from tui.messages import LogsRequested
from tui.widgets.row_table import Column, RowTable

_MINUTES = 60
_SIGNS = {"push": "↑ push", "pull": "↓ pull", "delete": "✗ delete"}


def _age(at: int) -> str:
    return age_text(at, time.time())


_AT = Column[Event]("When", lambda row: _age(row.at), 11)
_KIND = Column[Event]("What", lambda row: _SIGNS.get(row.kind, row.kind), 8)
_USER = Column[Event]("User", lambda row: row.user or "-", 12, is_name=True)
_IMAGE = Column[Event]("Image", lambda row: row.image, 0, is_name=True)
_SERVER = Column[Event]("Server", lambda row: row.server, 16, is_name=True)
_ROOM_FOR_SERVER = 84

_STATUS = Column[Failures]("Status", lambda row: str(row.status), 6)
_COUNT = Column[Failures]("Count", lambda row: f"{row.count:,}", 7, is_figure=True)
_MEANING = Column[Failures]("", lambda row: row.meaning, 0)


class _Events(RowTable[Event]):
    has_several_servers = False

    def columns(self, width: int) -> Sequence[Column[Event]]:
        """Return the columns that fit; the server only if there are several."""
        columns = (_AT, _KIND, _USER, _IMAGE)
        has_room = self.has_several_servers and width >= _ROOM_FOR_SERVER
        return (*columns, _SERVER) if has_room else columns

    def name_of(self, row: Event) -> object:
        """Return the event."""
        return row

    def colour_of(self, row: Event) -> str:
        """Return the colour of a deletion."""
        return "warning" if row.kind == "delete" else ""


class _FailuresTable(RowTable[Failures]):
    def columns(self, width: int) -> Sequence[Column[Failures]]:
        """Return the columns."""
        return (_STATUS, _COUNT, _MEANING)

    def name_of(self, row: Failures) -> object:
        """Return the status."""
        return row.status

    def colour_of(self, row: Failures) -> str:
        """Return the colour of the server's failures and of refused requests."""
        return "bad" if row.status >= 500 else "warning"


class ActivityTab(Tab[Activity]):
    """Pushes, pulls and requests, from the index that each server keeps."""

    DEFAULT_CSS = """
    ActivityTab #graphs { height: 3; padding: 0 2; }
    ActivityTab .graph { width: 1fr; height: 3; }
    ActivityTab #request-graph { margin-right: 2; }
    ActivityTab .graph Static {
        height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis;
    }
    ActivityTab Sparkline { height: 2; }
    ActivityTab Sparkline > .sparkline--max-color { color: $accent; }
    ActivityTab Sparkline > .sparkline--min-color { color: $accent; }
    ActivityTab #activity-tables { height: 1fr; layout: vertical; }
    ActivityTab .tab--heading { margin-top: 1; }
    ActivityTab #failures-part { height: 8; }
    ActivityTab.-roomy #activity-tables { layout: horizontal; }
    ActivityTab.-roomy #events-part { width: 2fr; }
    ActivityTab.-roomy #failures-part { height: 1fr; }
    """

    def compose_parts(self) -> ComposeResult:
        """Yield the graphs and the two tables."""
        with Horizontal(id="graphs"):
            for name in ("request", "bytes"):
                with Vertical(id=f"{name}-graph", classes="graph"):
                    yield Static("", id=f"{name}-text", markup=False)
                    yield Sparkline([], id=f"{name}-line")
        with Container(id="activity-tables"):
            with Vertical(id="events-part", classes="tab--part"):
                yield Static("", id="events-heading", classes="tab--heading", markup=False)
                yield _Events(id="events")
            with Vertical(id="failures-part", classes="tab--part"):
                yield Static("", id="failures-heading", classes="tab--heading", markup=False)
                yield _FailuresTable(id="failures")

    def read(self, deployment: Deployment) -> Activity:
        """Bring the servers' indexes up to date and read them."""
        return read_activity(deployment)

    def show(self, found: Activity) -> str:
        """Show the activity; returns since when it is known, and what is missing."""
        self._show_graphs(found)
        events, failures = self.query_one(_Events), self.query_one(_FailuresTable)
        events.has_several_servers = len(found.indexes) > 1
        events.show(found.events)
        rows = found.failures()
        failures.show(rows)
        heading = "Pushes and pulls" if found.events else "No pushes or pulls yet"
        self.query_one("#events-heading", Static).update(heading)
        self.query_one("#failures-heading", Static).update(_failures_heading(found, rows))
        if found.left_out:
            error = found.left_out[0]
            return f"! {printable(error.server or '')}: {printable(explain(error))}"
        since = found.covers_since
        if not since:
            return "Pushes, pulls and requests"
        return f"Complete since {date_text(since)}"

    def _show_graphs(self, found: Activity) -> None:
        minutes = [traffic for _, traffic in found.last_minutes(_MINUTES, time.time())]
        requests = [each.requests for each in minutes]
        sizes = [each.size for each in minutes]
        text = f"{sum(requests):,} requests in {_MINUTES} min, max {max(requests):,}"
        self.query_one("#request-text", Static).update(text)
        text = f"{size_text(sum(sizes))} sent in {_MINUTES} min, max {size_text(max(sizes))}"
        self.query_one("#bytes-text", Static).update(text)
        self.query_one("#request-line", Sparkline).data = [float(each) for each in requests]
        self.query_one("#bytes-line", Sparkline).data = [float(each) for each in sizes]

    @property
    def can_open(self) -> bool:
        """Whether a row is selected."""
        return self._selected is not None

    @property
    def _selected(self) -> Event | Failures | None:
        if self.query_one(_FailuresTable).has_focus:
            return self.query_one(_FailuresTable).row
        return self.query_one(_Events).row

    def open_selected(self) -> None:
        """Open the logs with the requests of the selected row."""
        row = self._selected
        if isinstance(row, Failures):
            self.post_message(LogsRequested(LogFilter(statuses=(str(row.status),))))
        elif row is not None:
            rows = LogFilter(user=row.user, repository=row.repository)
            self.post_message(LogsRequested(rows))


def _failures_heading(found: Activity, rows: Sequence[Failures]) -> str:
    """Return the number of failed requests; by status it is known only with a newer service."""
    total = sum(row.count for row in rows)
    if total:
        return f"{total:,} failed request{'s' if total != 1 else ''} in 24 h"
    if any(traffic.failed for traffic in found.minutes.values()):
        return "Failed requests: by status from the next apply on"
    return "No failed requests in 24 h"
