"""The schedule of collections in a server's status, and what a plan does about its timer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.answers.secrets import Secret
from moorage.deploy.images.schedule import (
    schedule_as_json,
    schedule_of,
    schedule_problems,
    schedule_rows,
)
from moorage.deploy.plan.planning import plan_server
from moorage.deploy.run.payload import Timing, payload
from moorage.desired import layout
from moorage.desired.state import Materials
from moorage.rows import Level
from moorage.servers.facts import Facts, ManagedFile, Service
from moorage.servers.run_results import RunStatus

NOW = 1_800_000_000.0
TIMER = "moorage-collect.timer"
ENDED = ("ended", "20270115T030000000-0abc", "1799996400", "1799996500")


def _answers(when: str | None = "Sun 03:00") -> Answers:
    return Answers.model_validate({
        "registry": {"domain": "registry.example.com"},
        "servers": [{"host": "one"}],
        "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        "ssl": {"mode": "none"},
        "collect": {"when": when},
    })  # fmt: skip


def _facts(
    *lines: tuple[str, ...], when: str | None = "Sun 03:00", timer: str = "active", **more: Any
) -> Facts:
    answers = without_secrets(_answers(when))
    record = json.dumps({"server": "one", "domain": "registry.example.com", "answers": answers})
    file = ManagedFile(layout.DEPLOYMENT, record.encode(), 0o600, "root", "root")
    services = {TIMER: Service(TIMER, timer, "enabled"), **more.pop("services", {})}
    return Facts("one", files={file.path: file}, services=services, collection=lines,
                 systemd=True, **more)  # fmt: skip


def test_without_a_schedule_there_is_none() -> None:
    assert schedule_of(_facts((*ENDED, "done", "", ""), when=None)) is None
    assert schedule_of(Facts("one")) is None
    assert schedule_as_json(None) is None


def test_what_the_last_run_did_and_when_the_next_is() -> None:
    facts = _facts(
        (*ENDED, "done", "", ""), ("number", "tags", "12"), ("number", "bytes", "1288490188"),
        ("number", "purged", "2048"), collect_next=NOW + 3600,
    )  # fmt: skip
    schedule = schedule_of(facts)
    assert schedule is not None
    last, following = schedule_rows(schedule, NOW)
    assert last.text == "1 h ago: 12 tags removed, 1.2 GiB moved to the trash, 2.0 KiB freed"
    assert (last.level, following.text) == (Level.GOOD, "2027-01-15 09:00 UTC (Sun 03:00)")
    assert list(schedule_problems(facts)) == []
    value = schedule_as_json(schedule)
    assert value is not None
    assert value["next_at"] == "2027-01-15T09:00:00Z"
    assert value["last"] == {
        "run": ENDED[1], "at": "2027-01-15T07:00:00Z", "status": "done", "code": "", "message": "",
        "done": {"tags": 12, "bytes": 1288490188, "purged": 2048},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ((*ENDED, "failed", "images_store_missing", "/srv/r"), RunStatus.FAILED, "not in /srv/r"),
        ((*ENDED, "locked", "run_locked", "other"), RunStatus.LOCKED, "other is in progress"),
        (("began", ENDED[1], ENDED[2]), RunStatus.INTERRUPTED, "interrupted"),
        ((*ENDED, "nonsense", "x"), RunStatus.FAILED, "failed"),
    ],
)
def test_a_run_that_did_not_succeed(line: tuple[str, ...], status: RunStatus, says: str) -> None:
    facts = _facts(line)
    schedule = schedule_of(facts)
    assert schedule is not None
    assert schedule.last is not None
    assert schedule.last.status is status
    [problem] = schedule_problems(facts)
    assert problem.code == "collection_failed"
    assert says in problem.message
    assert next(schedule_rows(schedule, NOW)).level is Level.BAD


def test_a_run_in_progress_is_no_problem() -> None:
    services = {"moorage-collect": Service("moorage-collect", "activating", "static")}
    facts = _facts(("began", ENDED[1], ENDED[2]), services=services)
    schedule = schedule_of(facts)
    assert schedule is not None
    assert schedule.last is not None
    assert schedule.last.status is RunStatus.RUNNING
    assert list(schedule_problems(facts)) == []


def test_a_timer_that_does_not_run_is_a_problem() -> None:
    facts = _facts(timer="inactive")
    assert [problem.code for problem in schedule_problems(facts)] == ["collection_off"]


@pytest.mark.parametrize(
    "line",
    [(), ("ended",), ("began", "x", "not a number"), ("number", "tags", "-1"), ("\x1b[31m", "x"),
     ("ended", "x", "9" * 40, "", "done", "")],
)  # fmt: skip
def test_what_a_server_reports_is_not_trusted(line: tuple[str, ...]) -> None:
    schedule = schedule_of(_facts(*([line] if line else [])))
    assert schedule is not None
    list(schedule_rows(schedule, NOW))
    schedule_as_json(schedule)


def _plan(answers: Answers, facts: Facts) -> tuple[list[str], str]:
    plan = plan_server(answers, Materials(Secret("a"), Secret("00ff")), facts)
    sent = b"".join(payload(plan, "run", {}, Timing())).decode("latin-1")
    subjects = [change.subject for change in plan.changes if TIMER in change.subject]
    return subjects, sent


def test_the_timer_is_started_with_a_new_schedule_and_stopped_without_one() -> None:
    subjects, sent = _plan(_answers(), _facts(timer="inactive"))
    assert subjects == [layout.COLLECT_TIMER, f"{TIMER}: start"]
    assert "\ncalendar\tSun 03:00\nschedule\tstart\n" in sent
    subjects, sent = _plan(_answers(None), _facts())
    assert subjects == [f"{TIMER}: stop"]
    assert "\ncalendar\t-\nschedule\tstop\n" in sent
    subjects, sent = _plan(_answers(None), _facts(timer="inactive"))
    assert subjects == []
    assert "\ncalendar\t-\nschedule\t-\n" in sent


def test_the_files_of_a_schedule_go_with_it() -> None:
    facts = _facts()
    there = {path: ManagedFile(path, b"x", 0o644, "root", "root") for path in layout.COLLECT_FILES}
    plan = plan_server(
        _answers(None), Materials(Secret("a"), Secret("00ff")),
        Facts("one", files={**facts.files, **there}, services=facts.services),
    )  # fmt: skip
    assert set(plan.removals) == set(layout.COLLECT_FILES)
