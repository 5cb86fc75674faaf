"""The history of a deployment as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.cli.errors import as_json, explain
from moorage.cli.plan_view import Line
from moorage.cli.tables import Cell, aligned
from moorage.deploy.lifecycle.history import History, HistoryRow, RunOnServer
from moorage.deploy.users.last_seen import utc
from moorage.escape import one_line
from moorage.rows import SIGNS, Level

_STYLES = {Level.GOOD: "green", Level.BAD: "red", Level.WARNING: "yellow"}


def history_lines(history: History) -> Iterator[Line]:
    """Yield the runs and changes, latest first.

    Args:
        history: The history.
    """
    for error in history.left_out:
        yield (("! ", "yellow"), (error.server or "", "bold"), f"  {explain(error)}")
    if not history.rows:
        if not history.left_out:
            yield ("No runs.",)
        return
    names = ("when", "by", "took", "revision", "result", "what")
    head = tuple((title, "bold") for title in names)
    titles, *lines = aligned([head, *map(_cells, history.rows)])
    yield titles
    for row, line in zip(history.rows, lines, strict=True):
        yield line
        if row.reason:
            yield (f"    {one_line(row.reason)}",)


def _cells(row: HistoryRow) -> tuple[Cell, ...]:
    style = _STYLES.get(row.level, "")
    result = f"{SIGNS[row.level]} {one_line(row.short_ending)}"
    took = "-" if row.seconds is None else f"{row.seconds:.0f} s"
    return (utc(int(row.at)) or "-", one_line(row.by) or "-", took, str(row.revision or "-"),
            (result, style), one_line(row.what))  # fmt: skip


def history_as_json(history: History) -> dict[str, object]:
    """Return the same as JSON values; see :func:`history_lines`."""
    return {
        "runs": [
            {
                "run": row.run_id or None,
                "at": utc(int(row.at)) or None,
                "kind": row.kind,
                "by": row.operator or None,
                "what": row.what,
                "revision": row.revision or None,
                "added": list(row.change.added),
                "removed": list(row.change.removed),
                "changed": list(row.change.changed),
                "answers": list(row.change.answers),
                "rolled_back_to": row.change.rolled_back_to or None,
                "upgraded_to": list(row.change.upgraded_to),
                "has_more": row.change.has_more,
                "done": dict(row.images.numbers) if row.images is not None else None,
                "status": row.status,
                "seconds": row.seconds,
                "servers": list(map(_server_as_json, row.runs)),
            }
            for row in history.rows
        ],
        "unread": [as_json(error) for error in history.left_out],
    }


def _server_as_json(run: RunOnServer) -> dict[str, object]:
    return {
        "server": run.server,
        "status": run.status,
        "code": run.record.code or None,
        "step": run.record.step or None,
        "message": run.record.message or None,
        "seconds": run.seconds,
    }
