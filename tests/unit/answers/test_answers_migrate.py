from __future__ import annotations

from typing import Any

import pytest

from moorage.answers.migrate import MigrationError, migrate


def rename(data: dict[str, Any]) -> dict[str, Any]:
    data["domain"] = data.pop("name")
    return data


def nest(data: dict[str, Any]) -> dict[str, Any]:
    return {"registry": {"domain": data.pop("domain")}, **data}


CHAIN = {1: rename, 2: nest}


def test_older_answers_are_migrated_step_by_step() -> None:
    old = {"version": 1, "name": "a.example.com"}
    new, notices = migrate(old, migrations=CHAIN, current=3)
    assert new == {"version": 3, "registry": {"domain": "a.example.com"}}
    assert notices == [
        "The answers use version 1 of the format; saving them converts them to version 3."
    ]
    assert old == {"version": 1, "name": "a.example.com"}


def test_only_necessary_migrations_run() -> None:
    new, _ = migrate({"version": 2, "domain": "a"}, migrations=CHAIN, current=3)
    assert new == {"version": 3, "registry": {"domain": "a"}}


def test_current_answers_are_left_alone() -> None:
    data = {"version": 3, "x": 1}
    assert migrate(data, migrations=CHAIN, current=3) == (data, [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "add a line 'version: 3'"),
        ({"version": None}, "add a line 'version: 3'"),
        ({"version": 4}, "upgrade Moorage"),
        ({"version": "3"}, "without quotes"),
        ({"version": True}, "without quotes"),
        ({"version": 0}, "without quotes"),
    ],
)
def test_an_unsupported_version_error_says_what_to_do(data: dict[str, Any], words: str) -> None:
    with pytest.raises(MigrationError, match=words):
        migrate(data, migrations=CHAIN, current=3)


def test_a_gap_between_migrations_is_an_error() -> None:
    with pytest.raises(MigrationError, match="no longer supported"):
        migrate({"version": 1}, migrations={2: nest}, current=3)
