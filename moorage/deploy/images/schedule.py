"""The schedule on which a server removes images: its last run and its next."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from moorage.deploy.events import ending_in_words
from moorage.deploy.plan.problem import problem_on
from moorage.deploy.record.deployment_json import as_applied, line_of
from moorage.desired import layout
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.rows import Level, Row
from moorage.servers.facts import Facts
from moorage.servers.run_results import RunStatus, read_result
from moorage.units import age_text, size_text

if TYPE_CHECKING:
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.plan.plan import ServerPlan

_ASK = """\
IFS= read -r when
command -v systemd-analyze >/dev/null || exit 0
LC_ALL=C systemd-analyze calendar -- "$when" 2>&1
"""
_TIMEOUT = 20.0
_NEVER = "Next elapse: never"
_LONGEST = 200
TIMER = PurePosixPath(layout.COLLECT_TIMER).name
_SERVICE = PurePosixPath(layout.COLLECT_SERVICE).stem
_STARTS = {"activating", "active", "deactivating"}


@dataclass(frozen=True)
class ScheduledRun:
    """A run that the schedule started.

    Attributes:
        run_id: Its ID.
        at: When it began, in seconds since 1970.
        status: How it ended, or that it is running.
        code: Why it did not succeed, as a code; may be empty.
        message: Why it did not succeed, in words; may be empty.
        numbers: What it did: tags, blobs and bytes moved to the trash, bytes purged from it.
    """

    run_id: str
    at: float
    status: RunStatus
    code: str = ""
    message: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def has_failed(self) -> bool:
        """Whether it did not do its work."""
        return self.status not in {RunStatus.DONE, RunStatus.RUNNING}

    @property
    def text(self) -> str:
        """The work it did, or how it ended, in words."""
        if self.status is RunStatus.RUNNING:
            return "running"
        if self.has_failed:
            return ending_in_words(self.status, "", self.message).rstrip(".")
        tags, moved, freed = (self.numbers.get(each, 0) for each in ("tags", "bytes", "purged"))
        parts = [f"{tags} tag{'s' * (tags != 1)} removed"] if tags else []
        parts += [f"{size_text(moved)} moved to the trash"] if moved else []
        parts += [f"{size_text(freed)} freed"] if freed else []
        return ", ".join(parts) or "nothing to remove"


@dataclass(frozen=True)
class Schedule:
    """The schedule of a server.

    Attributes:
        when: When it runs, as in the answers.
        is_active: Whether its timer runs.
        next_at: When it runs next, in seconds since 1970; None if not known.
        last: The last run; None before the first.
    """

    when: str
    is_active: bool
    next_at: float | None = None
    last: ScheduledRun | None = None


def with_checked_schedule(deployment: Deployment, plan: ServerPlan) -> ServerPlan:
    """Ask a server's systemd about the schedule in a plan, if it is new or changed. Blocks.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.
        plan: The server's plan.

    Returns:
        The plan, with a problem if systemd does not accept the schedule, or it never comes.

    Raises:
        MoorageError: The server cannot be reached.
    """
    when = plan.desired.calendar
    if not (when and plan.changes_schedule):
        return plan
    answer = deployment.on_server(
        plan.server,
        lambda transport: transport.run(
            _ASK, payload=f"{when}\n".encode(), timeout=_TIMEOUT, deadline=_TIMEOUT,
            cancel=deployment.cancel,
        ),
    )  # fmt: skip
    lines = answer.stdout.decode("utf-8", "replace").strip().splitlines()
    if answer.exit_status != 0:
        why = f": {printable(lines[-1])[:_LONGEST]}" if lines else ""
        text = f"systemd on this server does not accept the schedule {when}{why}."
    elif any(line.strip() == _NEVER for line in lines):
        text = f"the schedule {when} never comes, says systemd on this server."
    else:
        return plan
    advice = "'systemd-analyze calendar' on the server shows what it accepts, and when it comes."
    problem = problem_on(plan.facts, "schedule_refused", text, advice, ("collect.when",))
    return replace(plan, problems=(*plan.problems, problem))


def schedule_of(facts: Facts) -> Schedule | None:
    """Return a server's schedule; None if images are removed by hand only.

    Args:
        facts: The server's facts.
    """
    applied = as_applied(facts)
    when = applied.answers_here.collect.when if applied is not None else None
    if when is None:
        return None
    return Schedule(when, facts.is_active(TIMER), facts.collect_next, _last(facts))


def _last(facts: Facts) -> ScheduledRun | None:
    """Return the last run; its file was written by root there, so it can hold anything."""
    numbers: dict[str, int] = {}
    found: ScheduledRun | None = None
    for kind, *fields in facts.collection:
        if kind == "number" and len(fields) == 2 and fields[1].isdecimal():
            numbers[line_of(fields[0])] = int(fields[1][:18])
        elif kind == "began" and len(fields) == 2:
            service = facts.services.get(_SERVICE)
            runs = service is not None and service.active in _STARTS
            status = RunStatus.RUNNING if runs else RunStatus.INTERRUPTED
            found = ScheduledRun(line_of(fields[0]), _moment(fields[1]), status)
        elif kind == "ended" and len(fields) >= 5:
            run_id, began, _, status_text, code, *values = fields
            result = read_result(status_text, [code, *values])
            found = ScheduledRun(
                line_of(run_id), _moment(began), result.status, result.code, result.message, numbers
            )
    return found


def _moment(text: str) -> float:
    return float(text) if text.isdecimal() and len(text) < 12 else 0.0


def schedule_problems(facts: Facts) -> Iterator[MoorageError]:
    """Yield why a server does not remove images as scheduled.

    Args:
        facts: The server's facts.
    """
    schedule = schedule_of(facts)
    if schedule is None:
        return
    if not schedule.is_active and facts.systemd:
        text = f"{TIMER} is not running, so images are not collected on schedule."
        yield problem_on(facts, "collection_off", text, "Apply again.")
    last = schedule.last
    if last is not None and last.has_failed:
        text = f"The last scheduled collection, run {last.run_id}, {last.text}."
        advice = "'moorage history' shows its log; 'moorage images collect' collects now."
        yield problem_on(facts, "collection_failed", text, advice)


def schedule_rows(schedule: Schedule, now: float | None = None) -> Iterator[Row]:
    """Yield a schedule as rows: the last run and the next.

    Args:
        schedule: The schedule.
        now: The time, in seconds since 1970; now if None.
    """
    last = schedule.last
    if last is None:
        yield Row("collection", "Collection", f"has not run yet; scheduled {schedule.when}")
    else:
        level = Level.BAD if last.has_failed else last.status.level
        age = age_text(last.at or None, time.time() if now is None else now)
        yield Row("collection", "Collection", f"{age}: {last.text}", level)
    if not schedule.is_active:
        yield Row("collection_next", "Next run", "the timer is not running", Level.BAD)
    elif schedule.next_at is not None:
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(schedule.next_at))
        yield Row("collection_next", "Next run", f"{when} UTC ({schedule.when})")


def schedule_as_json(schedule: Schedule | None) -> dict[str, object] | None:
    """Return a schedule as JSON values; None without one.

    Args:
        schedule: The schedule.
    """
    if schedule is None:
        return None
    last = schedule.last
    return {
        "when": schedule.when,
        "active": schedule.is_active,
        "next_at": _iso(schedule.next_at),
        "last": None if last is None else {
            "run": last.run_id,
            "at": _iso(last.at),
            "status": str(last.status),
            "code": last.code,
            "message": last.message,
            "done": dict(last.numbers),
        },
    }  # fmt: skip


def _iso(moment: float | None) -> str | None:
    return None if moment is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
