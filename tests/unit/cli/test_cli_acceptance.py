"""What an apply means for people, on the command line: said first, and never accepted by Enter."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from calls import Moorage
from fake_server import FakeServers

from moorage.answers.load import load
from moorage.answers.record import without_secrets
from moorage.cli.output import Output
from moorage.deploy.record import revisions
from moorage.desired import layout
from moorage.desired.users import RegistryUser, user_files

HOST = "one.example.test"


@pytest.fixture
def stale(answers_file: Path, servers: FakeServers) -> Path:
    """Answers of revision 1, for a server to which Bob has added dora since."""
    answers = load(answers_file)
    answers_file.write_text(answers_file.read_text() + "based_on: 1  # ours\n")
    added = {"revision": 2, "by": "bob@desk", "at": "2026-03-02T09:12:40Z", "added": ["dora"]}
    record = {
        "domain": answers.registry.domain,
        "server": HOST,
        "answers": without_secrets(answers),
        "users": {"revision": 2, "declared": ["ci", "dora"]},
        "revision": 2,
        "history": [added],
    }
    users = [RegistryUser("ci", "x"), RegistryUser("dora", "y")]
    servers[HOST].files = {**user_files(users), layout.DEPLOYMENT: json.dumps(record).encode()}
    return answers_file


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Have somebody answer the questions with these lines."""
    monkeypatch.setattr(Output, "is_interactive", True)
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_enter_accepts_nothing_destructive(
    moorage: Moorage, stale: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = stale.read_text()
    at_a_terminal(monkeypatch, "", "")
    outcome = moorage("apply", str(stale), "--no-verify")
    assert outcome.code == 1
    assert "revision 2, by bob@desk, 2026-03-02 09:12:40 UTC: added dora" in outcome.stderr
    assert outcome.stderr.rstrip().endswith("Nothing was changed.")
    question = outcome.stderr.index("Apply this plan? [y/N]")
    assert "! 1 user is removed: dora." in outcome.stderr[:question].splitlines()[-3:]
    assert servers[HOST].runs == 0
    assert stale.read_text() == text


def test_accepted_consequences_are_applied(
    moorage: Moorage, stale: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch, "n", "y")
    outcome = moorage("apply", str(stale), "--no-verify")
    assert outcome.code == 0, outcome.stderr
    assert servers[HOST].runs == 1
    assert stale.read_text().endswith("\nbased_on: 3  # ours\n")


def test_changes_by_others_are_merged_into_the_file(
    moorage: Moorage, stale: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch, "y", "y")
    outcome = moorage("apply", str(stale), "--no-verify")
    assert outcome.code == 0, outcome.stderr
    assert "removed: dora" not in outcome.stderr
    after = load(stale)
    assert [user.name for user in after.credentials.users] == ["ci", "dora"]
    assert after.based_on == 3


def test_without_a_terminal_the_error_names_the_option(
    moorage: Moorage, stale: Path, servers: FakeServers
) -> None:
    refused = moorage("apply", str(stale), "--yes", "--no-verify", "--json")
    assert refused.code == 1
    error = refused.result["error"]
    assert error["code"] == "removals_not_accepted"
    assert "dora" in error["message"]
    assert "--accept-removals" in error["advice"]
    assert servers[HOST].runs == 0
    accepted = moorage("apply", str(stale), "--yes", "--no-verify", "--accept-removals")
    assert accepted.code == 0, accepted.stderr
    kept = moorage("apply", str(stale), "--yes", "--no-verify", "--accept-removals", "--no-save")
    assert kept.code == 0
    assert load(stale).based_on == 3


def test_a_revision_is_dated_when_it_is_applied(
    moorage: Moorage, answers_file: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = (f"2026-03-02T09:{minute:02d}:00Z" for minute in range(60))
    monkeypatch.setattr(revisions, "now", lambda: next(times))

    assert moorage("apply", str(answers_file), "--yes", "--no-verify").code == 0

    record = json.loads(servers[HOST].files[layout.DEPLOYMENT])
    assert record["at"] == record["deployed_at"] == record["history"][-1]["at"]
    assert record["at"] > "2026-03-02T09:00:00Z"
