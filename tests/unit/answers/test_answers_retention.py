"""Retention rules and the schedule in the answers: what is valid, and what is said of the rest."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from typing import Any

import pytest
import yaml

from moorage.answers.calendar_expression import check_calendar, never_comes
from moorage.answers.load import loads_draft
from moorage.answers.model import Answers
from moorage.answers.rows import answers_rows
from moorage.answers.save import dump
from moorage.durations import seconds

BASE = """\
version: 1
registry: {domain: registry.example.com}
servers:
  - host: 203.0.113.10
credentials:
  users:
    - {name: ci, password: {generate: true}}
"""
S3 = "storage: {driver: s3, s3: {bucket: images, region: eu-central-1}}\n"
GOOD = (
    "Sun 03:00", "daily", "*-*-01 04:30", "Mon..Fri 22:30:15", "Sat,Sun *-*-* 3:00 Europe/Berlin",
    "*-*~1 03:00", "03:00", "*:0/15", "Sun", "2030-01-01", "0/6:00 UTC", "Monday *-1,7-1..7 4:00",
)  # fmt: skip
BAD = (
    "", "Foo 03:00", "25:00", "03:00 Sun", "Sun  03:00", "*-13-01", "*-*-32", "12:60", "minutely",
    "5..3:00", "*/0:00", "Sun 03:00 tomorrow", "%h:00", "03:00\nOnBootSec=1", "$(id)", "--help",
    "-03:00", "Sun 03:00;", "x" * 200,
)  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_calendar_expressions(text: str) -> None:
    assert check_calendar(text) == ""
    if shutil.which("systemd-analyze"):
        asked = ["systemd-analyze", "calendar", "--", text]
        assert subprocess.run(asked, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("text", BAD)
def test_what_is_not_a_calendar_expression(text: str) -> None:
    assert "Sun 03:00, daily" in check_calendar(text) or "single spaces" in check_calendar(text)


@pytest.mark.parametrize(
    ("text", "is_over"),
    [
        ("2020-01-01", True), ("Sun 2028-02-27 03:00", False), ("Mon 2028-02-27", True),
        ("*-02-30 04:00", True), ("*-02-29", False), ("2027..2029-02-29", False),
        ("2029/4-02-29", True), ("2020/7-01-01", False), ("*-02~30", True), ("*-02~29", False),
        ("2027-06-15", False), ("2027-06-14 23:59 UTC", True), ("Sat..Mon 2027-06-15", True),
        ("Sat..Tue 2027-06-15", False), ("daily", False), ("03:00", False),
        ("2000,2020..2026-*-*", True),
    ],
)  # fmt: skip
def test_times_that_never_come(text: str, *, is_over: bool) -> None:
    assert check_calendar(text) == ""
    assert never_comes(text, date(2027, 6, 15)) is is_over


def test_what_was_applied_stays_valid_when_its_time_is_over() -> None:
    assert _with(collect={"when": "2020-01-01"}).collect.when == "2020-01-01"
    rule = {"repositories": ["*"], "keep": {"last": 1}}
    assert len(_with(retention=[rule, rule]).retention) == 2


@pytest.mark.parametrize(
    ("before", "rule", "is_covered"),
    [
        ([["*"]], ["team-a/*"], True), ([["*"]], ["*"], True), ([["a/*"]], ["a/b/*", "a/b"], True),
        ([["a/*"]], ["a"], False), ([["a"]], ["a/*"], False), ([["a/*", "b"]], ["a/x", "b"], True),
        ([["a/*"], ["b"]], ["a/x", "b"], True), ([["a/*"], ["b"]], ["a/x", "b", "c"], False),
        ([["ab/*"]], ["a/*"], False), ([["a/*"]], ["*"], False),
    ],
)  # fmt: skip
def test_a_rule_without_an_effect_is_a_problem(
    before: list[list[str]], rule: list[str], *, is_covered: bool
) -> None:
    rules = [{"repositories": each, "keep": {"last": 1}} for each in (*before, rule)]
    problems = loads_draft(BASE + yaml.safe_dump({"retention": rules})).problems
    assert [problem.dotted for problem in problems] == (
        [f"retention[{len(before)}].repositories"] * is_covered
    )
    assert all(f"rule {len(before)} above it" in problem.message for problem in problems)


def test_durations() -> None:
    assert [seconds(each) for each in ("0s", "90m", "12h", "30d")] == [0, 5400, 43200, 2592000]
    for each in ("", "30", "d", "1.5h", "-1d", "1w", "1000000d", "3 d", "٣d", "030d", "1d\n"):
        with pytest.raises(ValueError, match="invalid duration"):
            seconds(each)


def _with(**more: Any) -> Answers:
    return Answers.model_validate({**yaml.safe_load(BASE), **more})


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("retention:\n  - {repositories: ['a/*'], keep: {}}\n", 9, "must keep something"),
        ("retention:\n  - {repositories: ['a/*'], keep: {tags: []}}\n", 9, "must keep something"),
        ("retention:\n  - repositories: []\n    keep: {last: 1}\n", 9, "is empty"),
        ("retention:\n  - repositories: ['*/app']\n    keep: {last: 1}\n", 9, "team-a/*"),
        ("retention:\n  - repositories: [a]\n    keep: {last: 0}\n", 10, "at least 1"),
        ("retention:\n  - repositories: [a]\n    keep: {pushed_within: 30}\n", 10, "text"),
        ("retention:\n  - repositories: [a]\n    keep: {pushed_within: 30 days}\n", 10, "30d"),
        ("retention:\n  - repositories: [a]\n    keep: {tags: ['[ab]']}\n", 10, "with * and ?"),
        ("retention:\n  - repositories: [a]\n    keep: {lats: 1}\n", 10, "last"),
        ("collect:\n  when: Sunday night\n", 9, "'night'"),
        ("collect:\n  when: 2020-01-01\n", 9, "comes again"),
        ("collect: {grace: 8d}\n", 8, "not be longer than 7d"),
        (f"{S3}collect:\n  when: daily\n", 10, "images retain"),
    ],
)  # fmt: skip
def test_problems_name_their_line(text: str, line: int, says: str) -> None:
    [problem] = loads_draft(BASE + text).problems
    assert says in problem.message
    assert problem.line == line


def test_rules_without_a_schedule_are_valid_with_s3() -> None:
    text = f"{BASE}{S3}retention:\n  - {{repositories: ['*'], keep: {{last: 3}}}}\n"
    assert loads_draft(text).problems == ()


def test_rows_say_what_the_rules_mean() -> None:
    rule = {"repositories": ["team-a/*"],
            "keep": {"last": 10, "tags": ["v*"], "pulled_within": "90d"}}  # fmt: skip
    rows = {row.key: row.text for row in answers_rows(_with(retention=[rule]))}
    assert rows["retention"] == (
        "team-a/* keep the last 10 images or v* or what was pulled within 90d"
    )
    assert "images retain" in rows["collect"]
    rows = {
        row.key: row.text
        for row in answers_rows(_with(retention=[rule], collect={"when": "Sun 03:00"}))
    }
    assert rows["collect"] == "Sun 03:00: removes tags by these rules and frees the space"


def test_saved_answers_keep_them() -> None:
    rule = {"repositories": ["team-a/*"], "keep": {"last": 10, "tags": ["v*"]}}
    answers = _with(retention=[rule], collect={"when": "Sun 03:00", "young": "48h"})
    assert loads_draft(dump(answers)).problems == ()
    saved = yaml.safe_load(dump(answers))
    assert saved["retention"] == [rule]
    assert saved["collect"] == {"when": "Sun 03:00", "young": "48h"}


def test_zero_needs_no_unit() -> None:
    assert seconds("0") == seconds("0s") == 0
    with pytest.raises(ValueError, match="invalid duration"):
        seconds("5")
