"""``moorage logs``: columns, filters, several servers, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Moorage, write_answers
from fake_server import FakeServers, no_answer

REQUEST = (
    "2026-11-25T15:37:{second}+00:00\t{user}\t{status}\t{method}\t{path}\t192.0.2.7\t1\t0\tx\t-\n"
)


def request(
    second: int, user: str = "ana", status: int = 200, method: str = "GET",
    path: str = "/v2/team/app/manifests/1",
) -> bytes:  # fmt: skip
    """A line of nginx's log of requests."""
    return REQUEST.format(
        second=second, user=user, status=status, method=method, path=path
    ).encode()


@pytest.fixture
def two(home: Path, servers: FakeServers) -> Path:
    """Two servers with logs."""
    servers["one.example.test"].logs = (
        b"2026-11-25T15:37:12+0000 systemd[1]: Started it.\n"
        + request(10)
        + request(30, "bob", 403, "PUT")
    )
    servers["two.example.test"].logs = request(20, status=502) + request(
        25, path="/v2/moorage-verify/manifests/1"
    )
    return write_answers(home / "two.yml", ["one.example.test", "two.example.test"])


def test_the_lines_of_all_servers_are_sorted_by_time(moorage: Moorage, two: Path) -> None:
    outcome = moorage("logs", str(two))
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.splitlines() == [
        "one.example.test: Nov 25 15:37:10 200 GET    ana        192.0.2.7       "
        "/v2/team/app/manifests/1",
        "one.example.test: Nov 25 15:37:12 systemd: Started it.",
        "two.example.test: Nov 25 15:37:20 502 GET    ana        192.0.2.7       "
        "/v2/team/app/manifests/1",
        "two.example.test: Nov 25 15:37:25 200 GET    ana        192.0.2.7       [check] "
        "/v2/moorage-verify/manifests/1",
        "one.example.test: Nov 25 15:37:30 403 PUT    bob        192.0.2.7       "
        "/v2/team/app/manifests/1",
    ]


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (("--level", "info"), "12 20 30"),
        (("--level", "warning"), "20 30"),
        (("--level", "error"), "20"),
        (("--user", "bob"), "30"),
        (("--status", "4xx"), "30"),
        (("--status", "502", "--status", "403"), "20 30"),
        (("--repository", "team"), "10 20 30"),
        (("--repository", "team", "--user", "ana", "--status", "2xx"), "10"),
        (("--no-checks",), "10 12 20 30"),
        (("--limit", "two.example.test"), "20 25"),
        (("--follow", "--limit", "one.example.test", "--level", "routine"), "10 12 30"),
    ],
)
def test_options_choose_the_lines(
    moorage: Moorage, two: Path, options: tuple[str, ...], seconds: str
) -> None:
    outcome = moorage("logs", str(two), "--json", *options)
    assert outcome.code == 0, outcome.stderr
    rows = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [row["at"][17:19] for row in rows] == seconds.split()


def test_json_has_the_fields_of_each_line(moorage: Moorage, two: Path) -> None:
    outcome = moorage("logs", str(two), "--json", "--user", "bob")
    assert json.loads(outcome.stdout) == {
        "server": "one.example.test", "at": "2026-11-25T15:37:30+00:00", "level": "warning",
        "program": "requests", "message": "", "method": "PUT", "path": "/v2/team/app/manifests/1",
        "status": 403, "user": "bob", "address": "192.0.2.7", "repository": "team/app",
        "is_check": False, "details": "",
    }  # fmt: skip


def test_a_server_is_enough(moorage: Moorage, servers: FakeServers) -> None:
    servers["192.0.2.9"].logs = request(10)
    outcome = moorage("logs", "--server", "root@192.0.2.9")
    assert outcome.stdout.startswith("Nov 25 15:37:10 200 GET    ana")
    assert moorage("logs").code == 2


def test_an_unreachable_server_does_not_hide_the_others(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    servers["one.example.test"].fault = no_answer("one.example.test")
    outcome = moorage("logs", str(two))
    assert outcome.code == 4
    assert len(outcome.stdout.splitlines()) == 2
    assert "one.example.test: No answer. Try later." in outcome.stderr
    lines = moorage("logs", str(two), "--json").stdout.splitlines()
    assert json.loads(lines[0])["error"]["message"] == "No answer."
    assert len(lines) == 3


def test_control_characters_are_escaped(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    servers["one.example.test"].logs = "\x1b]0;owned\x07\x9b2J\n".encode()
    for options in ((), ("--json",), ("-f",)):
        outcome = moorage("logs", str(two), *options)
        assert not {"\x1b", "\x07", "\x9b"} & set(outcome.stdout + outcome.stderr)


def test_a_wrong_status_is_wrong_usage(moorage: Moorage, two: Path) -> None:
    outcome = moorage("logs", str(two), "--status", "abc")
    assert outcome.code == 2
    assert "Expected a number such as 404, or 4xx or 5xx" in outcome.stderr


def test_a_line_without_a_time_stays_behind_the_one_before_it(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    servers["one.example.test"].logs = request(40) + b"of 40\n" + request(10) + b"of 10\n"
    for options in ((), ("-f",)):
        shown = moorage("logs", str(two), "--limit", "one.example.test", *options).stdout
        assert [line[13:15] if "GET" in line else line for line in shown.splitlines()] == [
            "10", "of 10", "40", "of 40",
        ]  # fmt: skip


def test_no_lines_are_a_message(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    outcome = moorage("logs", str(two), "--user", "nobody")
    assert (outcome.code, outcome.stdout) == (0, "")
    assert "No lines match." in outcome.stderr
    assert moorage("logs", str(two), "--user", "nobody", "--json").stderr == ""
    servers["three"].logs = b""
    assert "The logs are empty." in moorage("logs", "--server", "root@three").stderr
