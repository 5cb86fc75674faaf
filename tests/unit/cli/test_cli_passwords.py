"""Passwords that an apply makes are shown once, where they were asked for, or nothing is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Moorage, write_answers
from fake_server import FakeServers

HOST = "one.example.test"


@pytest.fixture
def file(home: Path) -> str:
    return str(write_answers(home / "m.yml", [HOST], password="{generate: true}"))


def test_an_apply_that_would_lose_generated_passwords_does_not_start(
    moorage: Moorage, file: str, servers: FakeServers
) -> None:
    for words in ([], ["--json"]):
        outcome = moorage("apply", file, "--yes", *words)
        assert outcome.code == 2
        assert "--passwords-to FILE" in outcome.stdout + outcome.stderr
    assert servers[HOST].runs == 0


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_new_file_receives_the_passwords(
    moorage: Moorage, file: str, servers: FakeServers, home: Path, words: list[str]
) -> None:
    target = home / "passwords"

    outcome = moorage("apply", file, "--yes", "--no-verify", "--passwords-to", str(target), *words)

    assert outcome.code == 0
    assert target.stat().st_mode & 0o777 == 0o600
    user, _, password = target.read_text().rstrip("\n").partition(":")
    assert user == "ci"
    assert len(password) == 22
    assert password not in outcome.stdout + outcome.stderr
    if words:
        assert outcome.lines[-1]["generated"] == ["ci"]
        assert outcome.lines[-1]["passwords_file"] == str(target)


def test_an_existing_password_file_is_not_overwritten(
    moorage: Moorage, file: str, servers: FakeServers, home: Path
) -> None:
    (home / "passwords").write_text("mine")

    outcome = moorage("apply", file, "--yes", "--passwords-to", "passwords")

    assert outcome.code == 2
    assert (home / "passwords").read_text() == "mine"
    assert servers[HOST].runs == 0


def test_a_file_that_cannot_be_created_is_an_error_before_the_run(
    moorage: Moorage, file: str, servers: FakeServers
) -> None:
    outcome = moorage("apply", file, "--yes", "--passwords-to", "no/such/folder/passwords")

    assert outcome.code == 2
    assert "Nothing was changed." in outcome.stderr
    assert "Connecting" not in outcome.stderr
    assert servers[HOST].runs == 0


def test_the_file_is_removed_when_no_server_set_the_passwords(
    moorage: Moorage, file: str, servers: FakeServers, home: Path
) -> None:
    servers[HOST].result = "@result\tfailed\tno\n"

    outcome = moorage("apply", file, "--yes", "--passwords-to", "passwords")

    assert outcome.code == 1
    assert not (home / "passwords").exists()
    assert "The new passwords" not in outcome.stderr


def test_the_file_stays_when_a_run_could_still_continue(
    moorage: Moorage, file: str, servers: FakeServers, home: Path
) -> None:
    servers[HOST].result = ""

    outcome = moorage("apply", file, "--yes", "--passwords-to", "passwords")

    assert outcome.code == 1
    assert (home / "passwords").read_text().startswith("ci:")
    assert "The run may still be in progress" in outcome.stdout


def test_passwords_are_printed_on_request(
    moorage: Moorage, file: str, servers: FakeServers
) -> None:
    outcome = moorage("apply", file, "--yes", "--no-verify", "--show-passwords")

    assert outcome.code == 0
    assert any(line.startswith("ci:") for line in outcome.stdout.splitlines())
    assert "will not be shown again" in outcome.stderr


def test_json_on_stdout_and_printed_passwords_exclude_each_other(
    moorage: Moorage, file: str, servers: FakeServers
) -> None:
    outcome = moorage("apply", file, "--yes", "--json", "--show-passwords")

    assert outcome.code == 2
    assert outcome.lines[-1]["error"]["advice"] == "Use --passwords-to FILE."


def test_a_plan_lists_users_who_get_passwords_but_no_passwords(
    moorage: Moorage, file: str, servers: FakeServers
) -> None:
    assert "A password is generated for ci." in moorage("plan", file).stdout
    assert moorage("plan", file, "--json").json["generated"] == ["ci"]


def test_a_failed_apply_names_no_missing_file(
    moorage: Moorage, file: str, servers: FakeServers, home: Path
) -> None:
    servers[HOST].result = "@result\tfailed\tapt says no\n"

    outcome = moorage("apply", file, "--yes", "--json", "--passwords-to", str(home / "passwords"))

    result = outcome.lines[-1]
    assert result["exit_code"] == 1
    assert not (home / "passwords").exists()
    assert (result["passwords_file"], result["generated"]) == (None, [])
    assert (result["login"], result["ca_file"], result["docker_ca_file"]) == (None, None, None)
    [server] = result["servers"]
    assert (server["code"], server["message"]) == ("run_failed", "apt says no")
    assert f"/var/lib/moorage/runs/{server['run']}/log" in server["advice"]


def test_passwords_a_lost_run_could_have_set_are_reported(
    moorage: Moorage, file: str, servers: FakeServers, home: Path
) -> None:
    servers[HOST].result = ""

    outcome = moorage("apply", file, "--yes", "--json", "--passwords-to", str(home / "passwords"))

    result = outcome.lines[-1]
    assert result["passwords_file"] == str(home / "passwords")
    assert (home / "passwords").exists()
    assert result["generated"] == ["ci"]
    [server] = result["servers"]
    assert server["code"] == "run_lost"
    assert "moorage status FILE --follow" in server["advice"]
