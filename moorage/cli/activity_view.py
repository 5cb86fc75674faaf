"""Pushes, pulls and requests as text and as JSON values."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from moorage.cli.errors import as_json, explain
from moorage.cli.plan_view import Line
from moorage.cli.tables import Cell, aligned
from moorage.deploy.images.activity import Activity, Event, Failures, Traffic
from moorage.deploy.users.last_seen import utc
from moorage.escape import one_line
from moorage.units import size_text

_SIGNS = {"push": "↑", "pull": "↓", "delete": "✗"}


def activity_lines(activity: Activity, events: Sequence[Event], hours: int) -> Iterator[Line]:
    """Yield the last pushes and pulls, then the requests per hour and the failed ones by status.

    Args:
        activity: The deployment's activity.
        events: The events to show.
        hours: The number of hours to show, from the last one with a request.
    """
    for error in activity.left_out:
        yield (("! ", "yellow"), (error.server or "", "bold"), f"  {explain(error)}")
    if activity.covers_since is not None:
        yield (f"All pushes and pulls since {utc(activity.covers_since)} are known.",)
    yield ("",)
    if events:
        yield from aligned([_event_cells(event, len(activity.indexes) > 1) for event in events])
    else:
        yield ("No pushes or pulls.",)
    shown = _last(activity.hours, hours)
    if shown:
        yield ("",)
        head = tuple((title, "bold") for title in
                     ("hour", "requests", "failed", "pushes", "pulls", "sent"))  # fmt: skip
        yield from aligned([head, *(_traffic_cells(*each) for each in shown.items())])
    failures = activity.failures(hours)
    if failures:
        yield ("",)
        head = tuple((title, "bold") for title in ("status", "failed requests", "last in", ""))
        yield from aligned([head, *map(_failure_cells, failures)])


def _event_cells(event: Event, names_server: bool) -> tuple[Cell, ...]:
    server = (event.server,) if names_server else ()
    what = f"{_SIGNS.get(event.kind, '')} {event.kind}"
    return (utc(event.at), what, one_line(event.user), *server, one_line(event.image))


def _traffic_cells(hour: int, traffic: Traffic) -> tuple[Cell, ...]:
    failed: Cell = (f"{traffic.failed:,}", "yellow") if traffic.failed else "0"
    counts = (f"{traffic.pushes:,}", f"{traffic.pulls:,}", size_text(traffic.size))
    return (utc(hour * 3600), f"{traffic.requests:,}", failed, *counts)


def _failure_cells(row: Failures) -> tuple[Cell, ...]:
    return (str(row.status), f"{row.count:,}", utc(row.last), row.meaning)


def _last(hours: Mapping[int, Traffic], count: int) -> dict[int, Traffic]:
    newest = max(hours, default=0)
    return {hour: traffic for hour, traffic in hours.items() if hour > newest - count}


def activity_as_json(activity: Activity, events: Sequence[Event], hours: int) -> dict[str, object]:
    """Return the same as JSON values; see :func:`activity_lines`."""
    since = activity.covers_since
    return {
        "covers_since": None if since is None else utc(since),
        "events": [
            {
                "at": utc(event.at),
                "event": event.kind,
                "user": event.user,
                "repository": event.repository,
                "reference": event.reference,
                "server": event.server,
            }
            for event in events
        ],
        "hours": [
            {
                "at": utc(hour * 3600),
                "requests": traffic.requests,
                "failed": traffic.failed,
                "pushes": traffic.pushes,
                "pulls": traffic.pulls,
                "bytes_sent": traffic.size,
            }
            for hour, traffic in _last(activity.hours, hours).items()
        ],
        # The last hour, each minute.
        "minutes": [
            {
                "at": utc(minute * 60),
                "requests": traffic.requests,
                "failed": traffic.failed,
                "bytes_sent": traffic.size,
            }
            for minute, traffic in activity.last_minutes(60, time.time())
        ],
        "failures": [
            {"status": row.status, "count": row.count, "last_hour": utc(row.last)}
            for row in activity.failures(hours)
        ],
        "servers": [
            {"server": server, "covers_since": utc(index.covers_since)}
            for server, index in activity.indexes.items()
        ]
        + [{"server": error.server, "error": as_json(error)} for error in activity.left_out],
    }
