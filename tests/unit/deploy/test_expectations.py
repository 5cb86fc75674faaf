"""Expectations of an apply: duration, interruptions and failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from moorage.deploy.events import Event, RunEnded, StepBegan
from moorage.deploy.plan import timings
from moorage.deploy.plan.expectations import expect
from moorage.deploy.plan.plan import Change, Kind, ServerPlan
from moorage.deploy.plan.timings import StepTimer
from moorage.desired.state import DesiredState
from moorage.rows import Action, Row
from moorage.servers.facts import Facts
from moorage.servers.run_results import RunStatus

FILE = Change(Kind.FILE, Action.CHANGE, "/etc/x", "why", "a\nb\n", "a\nc\nd\n")
PACKAGE = Change(Kind.PACKAGE, Action.ADD, "nginx", "why")
SECONDS = {
    "upload": [1.0], "recheck": [1.0], "nginx-files": [2.0], "switch": [3.0], "check": [3.0],
    "record": [1.0],
}  # fmt: skip


def _server(name: str, *changes: Change) -> ServerPlan:
    state = cast("DesiredState", None)  # not used
    return ServerPlan(name, Facts(name), state, changes, slot_from="blue", slot_to="blue")


def _texts(rows: tuple[Row, ...]) -> dict[str, str]:
    return {row.key: row.text for row in rows}


def test_without_changes_there_is_nothing_to_expect() -> None:
    assert expect([_server("one")], "rolling", {}) == ()


def test_a_change_of_files_interrupts_nothing() -> None:
    assert _texts(expect([_server("one", FILE)], "rolling", {})) == {
        "duration": "usually under a minute",
        "interruption": "nothing: pushes and pulls in progress continue",
        "failure": "the server is rolled back and serves what it serves now",
    }


def test_a_restart_of_nginx_is_an_interruption() -> None:
    server = replace(_server("one", FILE), restart_nginx=True)
    texts = _texts(expect([server, _server("two", FILE)], "rolling", {}))
    assert texts["interruption"] == "connections to one: nginx is restarted"


def test_transfers_in_the_way_are_waited_for() -> None:
    server = replace(_server("one", FILE), transfers_in_the_way=2)
    texts = _texts(expect([server], "rolling", {}))
    assert texts["waiting"] == "up to 5 minutes for 2 transfers on one to end"


def test_servers_are_switched_one_after_the_other_unless_all_at_once() -> None:
    servers = [_server("one", FILE), _server("two", FILE)]
    # 4 s to stage both, then 7 s for each.
    assert _texts(expect(servers, "rolling", SECONDS))["duration"].startswith("about 20 seconds")
    at_once = _texts(expect(servers, "all_at_once", SECONDS))
    assert at_once["duration"].startswith("about 10 seconds")
    assert at_once["failure"] == (
        "before the switch, all servers are rolled back; later, only the failed one"
    )


def test_a_first_apply_with_packages_is_not_estimated_from_others() -> None:
    server = replace(_server("one", PACKAGE), slot_from=None)
    texts = _texts(expect([server], "rolling", {}))
    assert texts["duration"] == "usually 1 to 3 minutes"
    assert texts["interruption"] == "nothing"


def test_a_change_counts_its_lines() -> None:
    assert FILE.line_counts == (2, 1)
    assert FILE.size == "+2 -1"
    assert PACKAGE.size == ""


def test_only_steps_of_successful_runs_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path))
    seen: list[Event] = []
    timer = StepTimer(seen.append)
    timer.on_event(StepBegan("one", "upload", at=10.0))
    timer.on_event(StepBegan("two", "upload", at=10.0))
    timer.on_event(StepBegan("one", "switch", at=12.0))
    timer.on_event(RunEnded("two", "run", RunStatus.FAILED, at=13.0))
    assert timings.recorded() == {}
    timer.on_event(RunEnded("one", "run", RunStatus.DONE, at=15.0))
    assert timings.recorded() == {"upload": [2.0], "switch": [3.0]}
    assert len(seen) == 5
