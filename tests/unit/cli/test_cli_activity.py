"""``moorage activity``: what it prints of the servers' indexes."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Moorage, write_answers
from fake_server import FakeServers

from moorage.images.activity import NEVER, Index

ONE, TWO = "one.example.test", "two.example.test"
HOUR = 497_226
NOON = HOUR * 3600
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def two(home: Path) -> Path:
    """Answers for two servers."""
    return write_answers(home / "two.yml", [ONE, TWO])


def _index(since: int, *events: tuple[int, str, str, str, str]) -> Index:
    index = Index()
    index.covers_since = since
    index.events.extend(events)
    index.hours = {HOUR: [10, 2, 2048, 1, 1], HOUR - 30: [5, 0, 0, 0, 0]}
    index.minutes = {HOUR * 60 + 59: [1, 0, 0, 0, 1]}
    index.images["team/app", "1"] = [(NOON, "ci"), NEVER, NEVER]
    return index


def test_the_last_events_and_requests_of_all_servers(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    servers[ONE].activity = _index(
        NOON - 5000,
        (NOON, "push", "ci", "team/app", "1"),
        (NOON + 60, "pull", r"j\xC3\xBCrgen\x1B", "team/app", DIGEST),
    )
    servers[TWO].activity = _index(NOON - 4000, (NOON + 30, "delete", "ci", "team/app", DIGEST))
    outcome = moorage("activity", str(two))

    lines = outcome.stdout.splitlines()
    assert outcome.code == 0, outcome.stderr
    assert lines[0] == "All pushes and pulls since 2026-09-21T16:53:20Z are known."
    assert [line.split() for line in lines[2:5]] == [
        ["2026-09-21T18:01:00Z", "↓", "pull", r"jürgen\x1b", ONE, f"team/app@{DIGEST}"],
        ["2026-09-21T18:00:30Z", "✗", "delete", "ci", TWO, f"team/app@{DIGEST}"],
        ["2026-09-21T18:00:00Z", "↑", "push", "ci", ONE, "team/app:1"],
    ]
    assert lines[7].split() == ["2026-09-21T18:00:00Z", "22", "4", "2", "4", "4.0", "KiB"]
    assert len(lines) == 8

    value = moorage("activity", str(two), "--json", "--user", "ci", "--events", "1").json
    assert value["covers_since"] == "2026-09-21T16:53:20Z"
    assert value["events"] == [
        {"at": "2026-09-21T18:00:30Z", "event": "delete", "user": "ci", "repository": "team/app",
         "reference": DIGEST, "server": TWO}
    ]  # fmt: skip
    assert value["hours"] == [
        {"at": "2026-09-21T18:00:00Z", "requests": 22, "failed": 4, "pushes": 2, "pulls": 4,
         "bytes_sent": 4096}
    ]  # fmt: skip
    assert [each["covers_since"] for each in value["servers"]] == [
        "2026-09-21T16:36:40Z", "2026-09-21T16:53:20Z"
    ]  # fmt: skip


def test_nothing_is_complete_without_one_of_the_servers(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    servers[ONE].activity = _index(NOON)
    servers[TWO].has_no_logs = True
    outcome = moorage("activity", str(two))
    assert outcome.code == 4
    assert f"! {TWO}" in outcome.stdout
    assert "are known" not in outcome.stdout
    assert "No pushes or pulls." in outcome.stdout
    value = moorage("activity", str(two), "--json").json
    assert value["covers_since"] is None
    assert value["servers"][1]["error"]["code"]

    limited = moorage("activity", str(two), "--limit", ONE, "--json")
    assert limited.code == 0
    assert limited.json["covers_since"] is None
    assert [each["server"] for each in limited.json["servers"]] == [ONE]


def test_failed_requests_by_status_and_each_minute_of_the_last_hour(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    for server in (ONE, TWO):
        servers[server].activity = _index(NOON)
        servers[server].activity.failed = {(HOUR, 404): 3, (HOUR, 499): 1, (HOUR - 30, 500): 9}
    outcome = moorage("activity", str(two))
    assert [line.split() for line in outcome.stdout.splitlines()[-3:]] == [
        ["status", "failed", "requests", "last", "in"],
        ["404", "6", "2026-09-21T18:00:00Z", "Not", "Found"],
        ["499", "2", "2026-09-21T18:00:00Z", "Client", "closed", "the", "connection"],
    ]
    value = moorage("activity", str(two), "--json").json
    assert value["failures"] == [
        {"status": 404, "count": 6, "last_hour": "2026-09-21T18:00:00Z"},
        {"status": 499, "count": 2, "last_hour": "2026-09-21T18:00:00Z"},
    ]
    assert len(value["minutes"]) == 60
    assert {"at", "requests", "failed", "bytes_sent"} == set(value["minutes"][0])
