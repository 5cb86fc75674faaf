"""The history of a deployment: its runs, also those that failed or were refused, and their logs.

Each server keeps its last runs with their logs; its record has the last changes, for longer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property

from moorage.deploy.deployment import Deployment
from moorage.deploy.events import LogLine, StepBegan, ending_in_words
from moorage.deploy.images.summary import ImagesSummary, read_numbers, read_summary
from moorage.deploy.record.deployment_json import UNKNOWN_NAME, line_of, other_names
from moorage.deploy.record.revisions import NO_CHANGE, Change, Revision, revision_in
from moorage.deploy.status.status import how_it_ended
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.rows import Level
from moorage.servers.facts import RunRecord
from moorage.servers.run_results import RunStatus, read_result
from moorage.servers.transport import Completed, Transport
from templates.load import shell_script

MOST_RUNS = 40
"""Runs that are read from each server; it keeps 20, and those that wait."""
MOST_LOG = 1024**2
"""Bytes of a run's log that are read: its end."""
DEADLINE = 60.0
"""Seconds a server can take."""
ON_SCHEDULE = "on schedule"
"""What stands for the operator of a run that a timer began."""
_MOST = 32 * 1024**2
_NO_SUCH_RUN = 3
_RUN_ID = re.compile(r"(\d{8}T\d{6})\d{3}-[0-9a-f]{4}")
_STEP = re.compile(r"@step\t(\d{1,15})\t([a-z-]{1,40})")
_FOR_PROGRAMS = {"@number", "@staged", "@committed", "@until"}
_LAST = 253402300799.0
"""The last second of the year 9999."""


class Kind(StrEnum):
    """The kind of a run."""

    APPLY = "apply"
    USERS = "users"
    COLLECT = "collect"
    DELETE = "delete"
    RESTORE = "restore"
    RETAIN = "retain"
    SCHEDULED = "scheduled"
    UNINSTALL = "uninstall"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        """The kind in words."""
        return _LABELS[self]


_LABELS = {
    Kind.APPLY: "apply",
    Kind.USERS: "users changed",
    Kind.COLLECT: "images collected",
    Kind.DELETE: "images deleted",
    Kind.RESTORE: "images restored",
    Kind.RETAIN: "tags removed by the retention rules",
    Kind.SCHEDULED: "retention and collection",
    Kind.UNINSTALL: "uninstall",
    Kind.UNKNOWN: "run",
}
_PRINTED = {Kind.APPLY, Kind.USERS, Kind.UNINSTALL}
"""The kinds that servers print; those of runs on images follow from their tasks."""


@dataclass(frozen=True)
class RunOnServer:
    """A run on one server.

    Attributes:
        server: The server.
        record: Its state and how it ended.
        began: When, in seconds since 1970; 0 if not known.
        kind: Its kind.
        change: What it was to change; nothing if not known.
        images: What it was to do with images, and has done; None for another kind of run.
    """

    server: str
    record: RunRecord
    began: float = 0.0
    kind: Kind = Kind.UNKNOWN
    change: Change = NO_CHANGE
    images: ImagesSummary | None = None

    @property
    def status(self) -> RunStatus:
        """Its end, or that it is running."""
        return how_it_ended(self.record)

    @property
    def seconds(self) -> float | None:
        """Its duration; None if not known."""
        took = self.record.changed - self.began
        return took if self.began and not self.record.running and took >= 0 else None

    @property
    def ending(self) -> str:
        """Its end and the reason, in words."""
        return ending_in_words(self.status, self._step, self.record.message)

    @property
    def short_ending(self) -> str:
        """Its end without the reason."""
        return ending_in_words(self.status, self._step, "")

    @property
    def _step(self) -> str:
        return "" if self.status in {RunStatus.DONE, RunStatus.LOCKED} else self.record.step


@dataclass(frozen=True)
class HistoryRow:
    """An apply or another change, on all its servers.

    Attributes:
        run_id: The run's ID; empty if the servers no longer keep it.
        at: When it began, in seconds since 1970; 0 if not known.
        kind: Its kind.
        change: What it was to change, and by whom.
        runs: The run on each server; none if it is not kept.
        images: What it was to do with images, and has done; None for another kind of run.
    """

    run_id: str
    at: float
    kind: Kind
    change: Change
    runs: tuple[RunOnServer, ...] = ()
    images: ImagesSummary | None = None

    @property
    def operator(self) -> str:
        """The operator and their machine; empty if not known, or for a timer."""
        return self.change.by or (self.images.by if self.images is not None else "")

    @property
    def by(self) -> str:
        """The operator and their machine, or that a timer began it; empty if not known."""
        return ON_SCHEDULE if self.kind is Kind.SCHEDULED else self.operator

    @property
    def what(self) -> str:
        """The change in words."""
        images = self.images.what if self.images is not None else ""
        return self.change.what or images or self.kind.label

    @property
    def status(self) -> RunStatus:
        """The end on the server where it went worst."""
        # What is in a server's record has been done.
        return self._worst.status if self._worst is not None else RunStatus.DONE

    @property
    def revision(self) -> int:
        """The revision that it made; 0 if it made none."""
        is_done = not self.runs or any(each.status is RunStatus.DONE for each in self.runs)
        return self.change.revision if is_done else 0

    @property
    def level(self) -> Level:
        """The level of its row."""
        return Level.WARNING if self.status in _NOTHING_CHANGED else self.status.level

    @property
    def ending(self) -> str:
        """Its end and the reason, in words."""
        worst = self._worst
        if worst is None:
            return RunStatus.DONE.label
        return f"{worst.ending}{self._where}"

    @property
    def short_ending(self) -> str:
        """Its end without the reason."""
        worst = self._worst
        return self.ending if worst is None else f"{worst.short_ending}{self._where}"

    @property
    def reason(self) -> str:
        """The reason for its end; empty if there is none."""
        return self._worst.record.message if self._worst is not None else ""

    @property
    def _where(self) -> str:
        worst = self._worst
        is_one = len(self.runs) < 2 or worst is None or worst.status.is_good
        return "" if is_one or worst is None else f" on {worst.server}"

    @property
    def seconds(self) -> float | None:
        """The duration on the slowest server; None if not known."""
        return max((each.seconds for each in self.runs if each.seconds is not None), default=None)

    @cached_property
    def _worst(self) -> RunOnServer | None:
        return max(self.runs, key=lambda each: _SEVERITY.get(each.status, 9), default=None)


_NOTHING_CHANGED = {RunStatus.CANCELLED, RunStatus.UNDONE, RunStatus.LOCKED}
_SEVERITY = {
    RunStatus.DONE: 0, RunStatus.UNCHANGED: 0, RunStatus.RUNNING: 1, RunStatus.LOCKED: 2,
    RunStatus.UNDONE: 3, RunStatus.CANCELLED: 4,
}  # fmt: skip


@dataclass(frozen=True)
class History:
    """The history of a deployment.

    Attributes:
        rows: Latest first.
        left_out: Why other servers are not in it: they could not be read, or serve another
            registry.
    """

    rows: tuple[HistoryRow, ...] = ()
    left_out: tuple[MoorageError, ...] = ()


@dataclass(frozen=True)
class _Found:
    """The runs and the record of one server."""

    runs: tuple[RunOnServer, ...] = ()
    revision: Revision = field(default_factory=Revision)
    domain: str = ""


def read_history(deployment: Deployment) -> History:
    """Read the runs that the servers keep, and the changes in their records. Blocks.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.
    """

    def read(transport: Transport) -> Completed:
        return transport.run(
            shell_script("runs.sh") + shell_script("history.sh"),
            payload=f"{MOST_RUNS}\n".encode(),
            timeout=DEADLINE,
            deadline=DEADLINE,
            cancel=deployment.cancel,
        )

    found: dict[str, _Found] = {}
    left_out: list[MoorageError] = []
    for server, completed in deployment.on_each(read).items():
        try:
            if isinstance(completed, MoorageError):
                raise completed
            found[server] = _parse(server, _unpacked(server, completed))
        except MoorageError as error:
            left_out.append(error)
    if deployment.answers.registry.domain == UNKNOWN_NAME:
        others = other_names({name: each.domain for name, each in found.items()})
        left_out += others
        found = {name: each for name, each in found.items()
                 if name not in {error.server for error in others}}  # fmt: skip
    return History(tuple(_rows([*found.values()])), tuple(left_out))


def read_run_log(deployment: Deployment, server: str, run_id: str) -> list[StepBegan | LogLine]:
    """Read the log of a run: its end, if it is very long. Blocks.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.
        server: The server.
        run_id: The run's ID.

    Raises:
        MoorageError: The server no longer keeps it, or cannot be reached.
    """
    completed = deployment.on_server(
        server,
        lambda transport: transport.run(
            shell_script("run_log.sh"), payload=f"{run_id}\n{MOST_LOG}\n".encode(),
            timeout=DEADLINE, deadline=DEADLINE, cancel=deployment.cancel,
        ),
    )  # fmt: skip
    if completed.exit_status == _NO_SUCH_RUN:
        raise MoorageError(f"run {run_id} is no longer kept.", server=server, code="run_not_kept")
    text = deployment.redactor.redact(_unpacked(server, completed))
    return list(_log_lines(server, text))


def _log_lines(server: str, text: str) -> Iterator[StepBegan | LogLine]:
    for line in text.splitlines():
        word, *values = line.split("\t")
        if found := _STEP.fullmatch(line):
            yield StepBegan(server, found[2], at=min(float(found[1]), _LAST))
        elif word in {"@result", "@failing"} and values:
            result = read_result(values[0], [*values[1:], ""])
            yield LogLine(server, printable(ending_in_words(result.status, "", result.message)))
        elif word == "@warning":
            yield LogLine(server, printable(f"! {' '.join(values)}"))
        elif word not in _FOR_PROGRAMS:
            yield LogLine(server, printable(line.replace("\t", " ")))


def _unpacked(server: str, completed: Completed) -> str:
    try:
        return completed.unpacked(_MOST).decode("utf-8", "replace")
    except ValueError as error:
        raise _unreadable(server, str(error)) from error


def _unreadable(server: str, reason: str) -> MoorageError:
    return MoorageError(
        f"its runs could not be read: {reason}", server=server, code="history_unreadable"
    )


def _parse(server: str, text: str) -> _Found:
    """Return what a server printed. Everything in it can have been written by others."""
    *lines, end = text.rstrip("\n").split("\n")
    if end != "end":
        raise _unreadable(server, "the output was cut")
    runs: list[RunOnServer] = []
    revision, domain = Revision(), ""
    for line in lines:
        name, _, value = line.partition("\t")
        if name == "run" and (run := _run(server, value)) is not None and len(runs) < MOST_RUNS:
            runs.append(run)
        elif name == "record" and runs:
            known = revision_in(_json(value))
            change = known.history[-1] if known.history else NO_CHANGE
            change = replace(change, revision=known.number, by=known.by, at=known.at)
            runs[-1] = replace(runs[-1], change=change)
        elif name == "task" and runs:
            images = read_summary(_json(value))
            kind = Kind(images.action) if images.action in set(Kind) else Kind.UNKNOWN
            runs[-1] = replace(runs[-1], kind=kind, images=images)
        elif name == "counted" and runs and (known_images := runs[-1].images) is not None:
            numbers = read_numbers(value.split("\t"))
            runs[-1] = replace(runs[-1], images=replace(known_images, numbers=numbers))
        elif name == "current":
            current = _json(value)
            revision, domain = revision_in(current), line_of(current.get("domain"))
    return _Found(tuple(runs), revision, domain)


def _run(server: str, value: str) -> RunOnServer | None:
    fields = value.split("\t")
    run_id, running, changed, began, kind, step, status = [*fields, *[""] * 7][:7]
    if _RUN_ID.fullmatch(run_id) is None:
        return None
    record = RunRecord(
        run_id=run_id,
        running=running == "yes",
        changed=_seconds(changed),
        step=step if re.fullmatch(r"[a-z-]{1,40}", step) else "",
        result=read_result(status, fields[7:] or [""]) if status else None,
    )
    known = Kind(kind) if kind in _PRINTED else Kind.UNKNOWN
    return RunOnServer(server, record, _seconds(began), known)


def _seconds(text: str) -> float:
    return min(float(text), _LAST) if re.fullmatch(r"\d{1,15}", text) else 0.0


def _json(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}


def _rows(found: Sequence[_Found]) -> list[HistoryRow]:
    """Return the runs of all servers and the changes whose runs are gone, latest first."""
    by_id: dict[str, list[RunOnServer]] = {}
    for each in found:
        for run in each.runs:
            by_id.setdefault(run.record.run_id, []).append(run)
    rows = [_row(run_id, runs) for run_id, runs in by_id.items()]
    known = {(row.change.revision, row.change.at) for row in rows if row.status.is_good}
    rows += [
        HistoryRow("", _moment(change.at), Kind.APPLY if change.answers else Kind.UNKNOWN, change)
        for change in _changes(found)
        if (change.revision, change.at) not in known
    ]
    return sorted(rows, key=lambda row: row.at, reverse=True)


def _row(run_id: str, runs: Sequence[RunOnServer]) -> HistoryRow:
    first = next((each for each in runs if each.change != NO_CHANGE), runs[0])
    kinds = [each.kind for each in runs if each.kind is not Kind.UNKNOWN]
    began = [each.began for each in runs if each.began]
    at = min(began) if began else _moment_of(run_id)
    kind = kinds[0] if kinds else Kind.UNKNOWN
    images = [each.images for each in runs if each.images is not None]
    # All count the same; one that was lost has counted nothing.
    most = max(images, key=lambda each: len(each.numbers), default=None)
    return HistoryRow(run_id, at, kind, first.change, tuple(runs), most)


def _changes(found: Iterable[_Found]) -> Iterable[Change]:
    changes: dict[tuple[int, str], Change] = {}
    for each in found:
        for change in each.revision.history:
            changes.setdefault((change.revision, change.at), change)
    return changes.values()


def _moment_of(run_id: str) -> float:
    return _moment(run_id[:15])


def _moment(text: str) -> float:
    """Return a time of a record or of a run's ID in seconds since 1970; 0 if it is none."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
