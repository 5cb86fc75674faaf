"""Every exit code of docs/command-line.md."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from calls import Moorage, write_answers
from fake_server import FINGERPRINT, FakeServers, no_answer

from moorage.deploy.deployment import Deployment
from moorage.deploy.events import CheckStatus
from moorage.deploy.verify.verify import LOGIN_UNKNOWN, Check, Verification
from moorage.errors import ExitCode

HOST = "one.example.test"


def test_0_when_everything_is_done(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    outcome = moorage("apply", str(answers_file), "--yes", "--no-verify")

    assert outcome.code == ExitCode.DONE == 0
    assert servers[HOST].runs == 1
    assert "docker login registry.example.test -u ci" in outcome.stdout


@pytest.mark.parametrize(
    "words", [("apply", "no.yml"), ("users", "add", "no.yml", "bob"), ("users", "list", "no.yml")]
)
def test_2_when_the_file_is_missing_before_any_other_error(
    moorage: Moorage, words: tuple[str, ...]
) -> None:
    outcome = moorage(*words)

    assert outcome.code == ExitCode.USAGE == 2
    assert "The answers file no.yml cannot be read: no such file" in outcome.stderr
    assert "--yes" not in outcome.stderr


def test_2_when_the_file_is_a_folder(moorage: Moorage, home: Path) -> None:
    outcome = moorage(str(home))

    assert outcome.code == ExitCode.USAGE
    assert f"{home} is a directory" in outcome.stderr
    assert "Use a file in it" in outcome.stderr


def test_1_when_a_run_fails(moorage: Moorage, answers_file: Path, servers: FakeServers) -> None:
    servers[HOST].result = "@result\tfailed\tnginx refuses the configuration\n"

    outcome = moorage("apply", str(answers_file), "--yes")

    assert outcome.code == ExitCode.FAILED == 1
    assert "failed while installing packages: nginx refuses the configuration" in outcome.stdout
    assert "/var/lib/moorage/runs/" in outcome.stdout
    assert "docker login" not in outcome.stdout


def test_1_when_verify_finds_no_registry(moorage: Moorage, answers_file: Path) -> None:
    text = answers_file.read_text().replace(
        "registry.example.test}", "registry.example.test, port: 9}\nssl: {mode: none}"
    )
    answers_file.write_text(text.replace(f"host: {HOST}", "host: 127.0.0.1"))

    outcome = moorage("verify", str(answers_file))

    assert outcome.code == ExitCode.FAILED
    assert "✗" in outcome.stdout


def test_1_when_the_plan_has_problems(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers[
        HOST
    ].extra_facts = 'listener\tLISTEN 0 511 0.0.0.0:443 0.0.0.0:* users:(("caddy",pid=7,fd=6))\n'

    planned = moorage("plan", str(answers_file), "--detailed-exitcode")
    applied = moorage("apply", str(answers_file), "--yes")

    assert (planned.code, applied.code) == (1, 1)
    assert "port 443 is taken by caddy" in planned.stdout
    assert applied.stderr.rstrip().splitlines()[-1].startswith(f"Error: {HOST}: port 443 is taken")
    assert servers[HOST].runs == 0


def test_1_when_the_operator_says_no(
    moorage: Moorage, answers_file: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.cli.output.Output.is_interactive", True)
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: PTH123, SIM115

    outcome = moorage("apply", str(answers_file))

    assert outcome.code == ExitCode.FAILED
    assert "Nothing was changed." in outcome.stderr
    assert servers[HOST].runs == 0


@pytest.mark.parametrize(
    "words",
    [
        ["aply", "x"],
        ["apply"],
        ["apply", "moorage.yml"],
        ["plan", "moorage.yml", "--bogus"],
        ["plan", "missing.yml"],
        ["plan", "moorage.yml", "--limit", "two.example.test"],
        ["plan", "moorage.yml", "--accept-host-key", "AA:BB"],
        ["status"],
        ["status", "moorage.yml", "--server", "root@one.example.test"],
        ["status", "--server", "a@b@c"],
        ["status", "moorage.yml", "--key", "id"],
        [],
        ["moorage.yml"],
        ["missing.yml"],
        ["upgrade", "moorage.yml", "--to-version=", "--yes"],
    ],
)
def test_2_on_wrong_usage(
    moorage: Moorage, answers_file: Path, servers: FakeServers, words: list[str]
) -> None:
    outcome = moorage(*words)

    assert outcome.code == ExitCode.USAGE == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("Error: ")
    assert len(outcome.stderr.strip().splitlines()) == 1
    assert servers[HOST].runs == 0


def test_2_when_the_answers_are_invalid(moorage: Moorage, answers_file: Path) -> None:
    text = answers_file.read_text()
    answers_file.write_text(
        text.replace("access: push", "acess: push").replace("user: root", "usr: x")
    )

    outcome = moorage("validate", "moorage.yml")

    assert outcome.code == ExitCode.USAGE
    assert outcome.stdout == ""
    assert "moorage.yml:4:" in outcome.stderr
    assert "moorage.yml:7:" in outcome.stderr


def test_3_when_the_plan_has_changes(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    assert moorage("plan", str(answers_file)).code == ExitCode.DONE
    outcome = moorage("plan", str(answers_file), "--detailed-exitcode")

    assert outcome.code == ExitCode.CHANGES == 3
    assert servers[HOST].runs == 0


@pytest.mark.parametrize("command", ["plan", "status", "apply"])
def test_4_when_a_server_cannot_be_reached(
    moorage: Moorage, answers_file: Path, servers: FakeServers, command: str
) -> None:
    servers[HOST].fault = no_answer(HOST)

    outcome = moorage(command, str(answers_file), *(["--yes"] if command == "apply" else []))

    assert outcome.code == ExitCode.CANNOT_CONNECT == 4
    assert "No answer. Try later." in outcome.stdout + outcome.stderr


def test_5_when_only_some_servers_are_done(
    moorage: Moorage, home: Path, servers: FakeServers
) -> None:
    file = write_answers(home / "two.yml", [HOST, "two.example.test"])
    servers["two.example.test"].result = "@result\tfailed\tnginx answers 502\n"

    outcome = moorage("apply", str(file), "--yes", "--json")

    assert outcome.code == ExitCode.PARTLY_DONE == 5
    result = outcome.lines[-1]
    assert [server["status"] for server in result["servers"]] == ["done", "failed"]
    assert result["exit_code"] == 5


def test_130_when_a_run_is_cancelled(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers[HOST].waits_for_abort = True
    _press_ctrl_c(after=servers[HOST].has_begun)

    outcome = moorage("apply", str(answers_file), "--yes")

    assert outcome.code == ExitCode.INTERRUPTED == 130
    assert "Cancelling: " in outcome.stderr
    assert "it was cancelled" in outcome.stdout


def test_130_when_a_question_is_interrupted(
    moorage: Moorage, answers_file: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    servers[HOST].unknown_key = FINGERPRINT
    monkeypatch.setattr("moorage.cli.output.Output.is_interactive", True)
    monkeypatch.setattr("moorage.cli.asker.CommandLineAsker._yes_or_no", interrupt)

    outcome = moorage("plan", str(answers_file))

    assert outcome.code == ExitCode.INTERRUPTED
    assert outcome.stderr.rstrip().endswith("Error: Interrupted. No server was changed.")


def test_130_when_the_confirmation_is_interrupted_and_no_server_is_changed(
    moorage: Moorage, answers_file: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("moorage.cli.output.Output.is_interactive", True)
    monkeypatch.setattr("moorage.cli.asker.CommandLineAsker._yes_or_no", interrupt)

    outcome = moorage("apply", str(answers_file))

    assert outcome.code == ExitCode.INTERRUPTED
    assert outcome.stderr.rstrip().endswith("Error: Interrupted. No server was changed.")
    assert not servers[HOST].has_begun.is_set()


def _press_ctrl_c(after: threading.Event) -> None:
    def press() -> None:
        assert after.wait(600)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


def test_nothing_to_undo_or_replace_with_and_without_a_terminal(
    moorage: Moorage, answers_file: Path
) -> None:
    undo = moorage("dns", "undo", str(answers_file))
    assert undo.code == 1
    assert "Nothing to undo" in undo.stderr
    assert "--yes" not in undo.stderr

    replace = moorage("certificate", "replace", str(answers_file))
    assert replace.code == 1
    assert "ssl.mode" in replace.stderr
    assert "--yes" not in replace.stderr


def test_verify_without_a_login_is_incomplete_and_fails_if_a_login_is_required(
    moorage: Moorage, answers_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = tuple(
        Check(HOST, key, key, status, "", code=code)
        for key, status, code in (
            ("no_password", CheckStatus.GOOD, ""),
            ("login", CheckStatus.SKIPPED, LOGIN_UNKNOWN),
        )
    )
    monkeypatch.setattr(Deployment, "verify", lambda *_, **__: Verification(checks))

    plain = moorage("verify", str(answers_file), "--json")
    strict = moorage("verify", str(answers_file), "--require-login")

    assert (plain.code, plain.json["verification"], plain.json["is_good"]) == (
        0, "incomplete", True
    )  # fmt: skip
    assert plain.json["checks"][1]["code"] == "login_unknown"
    assert strict.code == 1
    assert "Not checked: login (no password with push access is known)." in strict.stdout
    assert "--require-login" in strict.stderr
