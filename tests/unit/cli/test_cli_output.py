"""Output: data on stdout, messages on stderr, JSON, colours, secrets, errors."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from calls import PASSWORD, Moorage, write_answers
from fake_server import FakeServers, no_answer

from moorage.cli.errors import report_error
from moorage.cli.output import Output
from moorage.cli.progress import LiveProgress, show_progress
from moorage.deploy.certificates import ca
from moorage.deploy.events import LogLine, RunEnded, StepBegan
from moorage.errors import MoorageError
from moorage.servers.run_results import RunStatus

HOST = "one.example.test"


def test_plan_prints_the_plan_on_stdout_and_progress_on_stderr(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    outcome = moorage("plan", str(answers_file), "--diff")

    people = "  1 user is added: ci.\n\n"
    assert outcome.stdout.startswith(f"{people}{HOST}  Debian GNU/Linux 12 (bookworm), new\n")
    assert "+ package  nginx" in outcome.stdout
    assert "\n+++ b/etc/nginx/conf.d/moorage.conf\n" in outcome.stdout
    assert re.search(r"\+ file +/etc/nginx/moorage/htpasswd +\+1 ", outcome.stdout)
    assert "\nTakes        usually 1 to 3 minutes\nInterrupts   nothing\n" in outcome.stdout
    assert outcome.stdout.splitlines()[-1].startswith("1 server: ")
    assert f"{HOST}: Connecting" in outcome.stderr
    assert "\x1b" not in outcome.stdout + outcome.stderr


def test_plan_as_json(moorage: Moorage, answers_file: Path, servers: FakeServers) -> None:
    plain = moorage("plan", str(answers_file), "--json")
    with_diff = moorage("plan", str(answers_file), "--json", "--diff")

    assert plain.stderr == ""
    value = plain.json
    assert value.keys() == {
        "has_changes", "summary", "generated", "kept_users", "servers", "dns",
        "consequences", "revision", "based_on", "missed", "expectations",
    }  # fmt: skip
    assert [(each["key"], each["level"]) for each in value["expectations"]] == [
        ("duration", "info"), ("interruption", "info"), ("failure", "info"),
    ]  # fmt: skip
    assert value["consequences"] == [
        {
            "code": "users_added", "severity": "notice", "text": "1 user is added: ci.",
            "users": ["ci"], "servers": [], "before": "", "after": "", "needs": None, "unknown": [],
            "note": "",
        }
    ]  # fmt: skip
    assert value["dns"] == {"plan": None, "problem": None, "findings": []}
    assert value["has_changes"] is True
    server = value["servers"][0]
    assert server["server"] == HOST
    assert server["is_new"] is True
    assert server["problems"] == []
    assert {name: item for name, item in server["changes"][0].items() if name != "reason"} == {
        "kind": "package",
        "action": "add",
        "subject": "nginx",
        "drift": False,
        "lines_added": 0,
        "lines_removed": 0,
    }
    assert not any("diff" in change for change in server["changes"])
    assert any("diff" in change for change in with_diff.json["servers"][0]["changes"])


def test_apply_as_json_ends_with_the_result(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    outcome = moorage("apply", str(answers_file), "--yes", "--json", "--no-verify")

    assert outcome.stderr == ""
    events = [line["event"] for line in outcome.lines]
    assert events.index("plan") < events.index("log") < events.index("ended")
    assert events[-1] == "result"
    assert events.count("result") == 1
    result = outcome.lines[-1]
    assert result["exit_code"] == outcome.code == 0
    assert result["servers"][0]["status"] == "done"
    assert result["checks"] is None
    assert result["login"] == "docker login registry.example.test -u ci"
    assert result["dns"]["records"] == [
        {"name": "registry.example.test", "type": "A", "value": "192.0.2.7"}
    ]


@pytest.mark.parametrize("command", ["plan", "apply", "status"])
def test_errors_as_json(
    moorage: Moorage, answers_file: Path, servers: FakeServers, command: str
) -> None:
    servers[HOST].fault = no_answer(HOST)

    words = ["--yes"] if command == "apply" else []
    outcome = moorage(command, str(answers_file), "--json", *words)

    assert outcome.stderr == ""
    last = outcome.lines[-1]
    error = last["unreached"][0] if command == "status" else last["error"]
    assert error == {
        "code": "cannot_connect",
        "message": "No answer.",
        "advice": "Try later.",
        "fields": [],
        "server": HOST,
    }
    if command == "apply":
        assert last["event"] == "result"
        assert last["exit_code"] == 4


def test_wrong_usage_as_json(moorage: Moorage) -> None:
    outcome = moorage("plan", "--json", "--bogus")

    assert outcome.json["exit_code"] == 2
    assert outcome.json["error"]["code"] == "usage"
    assert "--bogus" in outcome.json["error"]["message"]


def test_invalid_answers_as_json_list_every_problem(moorage: Moorage, answers_file: Path) -> None:
    answers_file.write_text(answers_file.read_text().replace("access: push", "access: admin"))

    error = moorage("validate", "moorage.yml", "--json").json["error"]

    assert error["code"] == "answers_invalid"
    problem = error["problems"][0]
    assert problem["path"] == "credentials.users[0].access"
    assert (problem["file"], problem["line"]) == ("moorage.yml", 7)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("access: push", "access: admin", "not_a_choice"),
        ("access: push", "access: [push]", "not_a_choice"),
        ("credentials:", "servers: x\ncredentials:", "not_a_list"),
        ("credentials:", "storage: x\ncredentials:", "not_a_section"),
        ("user: root", "user: root, port: 99999", "too_large"),
        ("user: root", "user: root, port: x", "not_a_number"),
        ("domain: registry.example.test", "domain: 5", "not_text"),
    ],
)
def test_codes_of_problems_are_moorages_own(
    moorage: Moorage, answers_file: Path, old: str, new: str, code: str
) -> None:
    text = answers_file.read_text()
    assert old in text
    if new.startswith("servers"):
        text = re.sub(r"^servers:\n( .*\n|-.*\n)+", "", text, flags=re.MULTILINE)
    answers_file.write_text(text.replace(old, new, 1))

    problems = moorage("validate", "moorage.yml", "--json").json["error"]["problems"]

    assert code in {each["code"] for each in problems}, problems


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MoorageError("the trash is empty."), "Error: The trash is empty."),
        (MoorageError("the trash is empty.", server="one"), "Error: one: the trash is empty."),
        (MoorageError("moorage.yml is damaged."), "Error: moorage.yml is damaged."),
    ],
)
def test_errors_begin_with_a_capital_letter(
    error: MoorageError, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report_error(Output(), error)
    assert capsys.readouterr().err.strip() == text


def test_validate_says_what_the_answers_mean(moorage: Moorage, answers_file: Path) -> None:
    outcome = moorage("validate", "moorage.yml")
    assert "moorage.yml: the answers are valid." in outcome.stdout
    assert "from a private CA: every client has to trust it first" in outcome.stdout

    meaning = moorage("validate", "moorage.yml", "--json").json["meaning"]
    assert meaning["registry"] == "https://registry.example.test"
    assert list(meaning) == [
        "registry", "servers", "credentials", "storage", "dns", "ssl", "advanced",
    ]  # fmt: skip


def test_validate_headless_lists_all_secrets_that_are_missing(moorage: Moorage, home: Path) -> None:
    file = write_answers(home / "m.yml", [HOST], password="{env: NOT_SET}")
    file.write_text(
        file.read_text().replace("user: root", "user: a, sudo_password: {prompt: true}")
    )

    assert moorage("validate", "m.yml").code == 0
    outcome = moorage("validate", "m.yml", "--headless")

    assert outcome.code == 2
    assert "m.yml:4:" in outcome.stderr
    assert "m.yml:7:" in outcome.stderr
    assert "NOT_SET" in outcome.stderr


def test_validate_headless_lists_missing_and_invalid_files(
    moorage: Moorage, answers_file: Path, home: Path
) -> None:
    authority = ca.create("test", "registry.example.test")
    (home / "cert.pem").write_bytes(authority.issue("other.example.test").certificate)
    (home / "key.pem").write_text("no key")
    answers_file.write_text(
        answers_file.read_text().replace("user: root", "user: root, key: no-such-key")
        + "ssl: {mode: files, files: {certificate: cert.pem, key: key.pem}}\n"
    )

    assert moorage("validate", "moorage.yml").code == 0
    outcome = moorage("validate", "moorage.yml", "--headless")

    assert outcome.code == 2
    assert "servers[0].key: the file no-such-key cannot be read: no such file" in outcome.stderr
    assert "moorage.yml:8:" in outcome.stderr
    assert "The key file has no PEM private key." in outcome.stderr
    assert "The certificate is not valid for registry.example.test" in outcome.stderr


def test_a_secret_in_an_error_is_redacted(
    moorage: Moorage, answers_file: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MoorageError(f"a library said {PASSWORD}.", advice=f"try {PASSWORD}")

    monkeypatch.setattr("moorage.deploy.deployment.Deployment.apply", fail)

    for words in ([], ["--json"]):
        outcome = moorage("apply", str(answers_file), "--yes", *words)
        assert outcome.code == 1
        assert "library said ****" in outcome.stdout + outcome.stderr
        assert PASSWORD not in outcome.stdout + outcome.stderr


def test_the_live_table_has_a_line_per_server_and_the_log_above(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    progress = show_progress(Output(), ["one", "two"])
    assert isinstance(progress, LiveProgress)

    with progress:
        progress.on_event(StepBegan("one", "packages"))
        progress.on_event(LogLine("one", "[bold]Setting up nginx"))
        progress.on_event(RunEnded("two", "id", RunStatus.FAILED, "no", "switch"))
        with progress.pause():
            capfd.readouterr()
        shown = capfd.readouterr().err

    assert "Installing packages" in shown
    assert "✗" in shown
    assert "failed" in shown
    progress.on_event(LogLine("one", "[bold]Setting up nginx"))
    assert "[bold]Setting up nginx" in capfd.readouterr().err


def test_secrets_are_redacted_in_all_output(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers[HOST].log = f"curl -u ci:{PASSWORD}\n"
    servers[HOST].result = f"@result\tfailed\tthe server said {PASSWORD}\n"

    for words in ([], ["--json"]):
        outcome = moorage("apply", str(answers_file), "--yes", *words)
        assert outcome.code == 1
        assert PASSWORD not in outcome.stdout + outcome.stderr
        assert "the server said ****" in outcome.stdout


def test_text_from_servers_is_escaped(
    moorage: Moorage, answers_file: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers[HOST].log = "[bold]loud[/] [/nonsense] \x1b[31mred\x07\n"
    servers[HOST].extra_facts = 'os\tPRETTY_NAME="[red]\x1b]0;owned\x07"\n'

    outcome = moorage("apply", str(answers_file), "--yes", "--no-verify")

    assert outcome.code == 0
    assert r"[bold]loud[/] [/nonsense] \x1b[31mred\x07" in outcome.stderr
    assert r"[red]\x1b]0;owned\x07" in outcome.stderr
    assert "\x1b" not in outcome.stderr


def test_colours_follow_the_environment_and_options(
    moorage: Moorage, answers_file: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ("plan", str(answers_file), "--diff")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")

    assert "\x1b[32m" in moorage(*plan).stdout
    assert "\x1b[32m" not in moorage(*plan, "--no-color").stdout
    assert "\x1b[32m" not in moorage("--no-color", *plan).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in moorage(*plan).stdout


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_an_unexpected_error_is_logged_and_shows_no_traceback(
    moorage: Moorage,
    answers_file: Path,
    servers: FakeServers,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"something with {PASSWORD} in it")

    monkeypatch.setattr("moorage.deploy.deployment.Deployment.apply", fail)

    outcome = moorage("apply", str(answers_file), "--yes", *words)

    printed = outcome.stdout + outcome.stderr
    assert outcome.code == 1
    assert "Traceback" not in printed
    assert PASSWORD not in printed
    found = re.search(r"/\S+\.log", printed)
    assert found is not None
    path = Path(found.group())
    assert path.stat().st_mode & 0o777 == 0o600
    log = path.read_text()
    assert "Traceback" in log
    assert "RuntimeError: something with ****" in log
    assert PASSWORD not in log


def test_schema_is_a_json_schema(moorage: Moorage) -> None:
    schema = json.loads(moorage("schema").stdout)

    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "registry" in schema["properties"]
    assert moorage("schema", "--json").json == schema


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def test_messages_and_questions_are_wrapped_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "xterm")
    output = Output()
    path = "/var/lib/moorage/registry/of/a/long/name"
    output.message("Error: ", f"the registry was stopped: {path} is full")
    output.question("Delete 2 images, which have 3.8 MiB?", " [y/N]")

    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert lines == [
        "Error: the registry was", "stopped:", path, "is full",
        "Delete 2 images, which have", "3.8 MiB? [y/N]",
    ]  # fmt: skip
    assert terminal.getvalue().endswith("[y/N] ")
