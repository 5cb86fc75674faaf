"""`moorage users`: exit codes, what is printed, and what happens to the answers file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from calls import Moorage, write_answers
from fake_server import FakeServers, no_answer

from moorage.answers.load import load
from moorage.answers.record import without_secrets
from moorage.answers.secrets import Secret
from moorage.deploy.images.activity import Activity
from moorage.desired import layout
from moorage.desired.users import RegistryUser, user_files
from moorage.errors import MoorageError
from moorage.images.activity import Index
from moorage.unseen_passwords import keep_unseen, unseen_passwords
from moorage.users.on_servers import USER_FILES
from moorage.users.passwords import hash_password
from tui.document.draft import Draft
from tui.document.store import keep_applied
from tui.document.unapplied import not_applied

ONE, TWO = "one.example.test", "two.example.test"
APR1 = "$apr1$saltsalt$" + "b" * 22
CI = RegistryUser("ci", "$2y$12$" + "a" * 53, "push")
ANA = RegistryUser("ana", APR1, "pull", ("team-a/*",))


def _deploy(
    servers: FakeServers,
    file: Path,
    host: str,
    users: Sequence[RegistryUser] = (CI, ANA),
    *,
    edited: bool = False,
    **noted: Any,
) -> None:
    """Make a server one that a file was applied to."""
    files = user_files(users)
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    if edited:
        digests[layout.HTPASSWD] = "another"
    record = {
        "server": host,
        "answers": without_secrets(load(file)),
        "users": {"revision": 1, "declared": ["ci"], "missed": [], **noted},
        "digests": digests,
    }
    servers[host].files = {
        **files,
        layout.DEPLOYMENT: json.dumps(record).encode(),
        layout.UPSTREAM: b"server 127.0.0.1:5101;\n",
    }


@pytest.fixture
def two(home: Path, servers: FakeServers) -> Path:
    """Answers for two servers that are deployed and have the users ci and ana."""
    file = write_answers(home / "two.yml", [ONE, TWO])
    for host in (ONE, TWO):
        _deploy(servers, file, host)
    return file


def _type(monkeypatch: pytest.MonkeyPatch, *answers: str, yes: str = "y\n") -> None:
    """Have somebody at a terminal who types these passwords."""
    typed = iter(answers)
    monkeypatch.setattr("moorage.cli.output.Output.is_interactive", True)
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: next(typed))
    monkeypatch.setattr("sys.stdin", io.StringIO(yes))


@pytest.mark.parametrize(
    ("words", "file", "named"),
    [
        ((), None, None),
        (("two.yml",), Path("two.yml"), None),
        (("--server", f"root@{ONE}"), None, ((f"root@{ONE}",), "")),
        (
            ("--server", f"root@{ONE}", "--server", TWO, "--key", "id"),
            None,
            ((f"root@{ONE}", TWO), "id"),
        ),
    ],
)
def test_on_a_terminal_the_users_screen_opens(
    moorage: Moorage, two: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...],
    file: Path | None, named: tuple[tuple[str, ...], str] | None,
) -> None:  # fmt: skip
    opened: list[object] = []
    Path("id").write_bytes(b"")

    def run(path: Path | None, **more: object) -> int:
        opened.append((path, more))
        return 0

    monkeypatch.setattr("moorage.cli.terminal.has_terminal", lambda: True)
    monkeypatch.setattr("tui.app.run_wizard", run)

    assert moorage("users", *words).code == 0
    assert opened == [(file, {"users": True, "servers": named})]


def test_without_a_terminal_no_screen_opens(moorage: Moorage, two: Path) -> None:
    alone = moorage("users")
    of_file = moorage("users", "two.yml")
    of_server = moorage("users", "--server", f"root@{ONE}")
    misplaced = moorage("users", "--server", f"root@{ONE}", "list")

    assert [each.code for each in (alone, of_file, of_server, misplaced)] == [2, 2, 2, 2]
    assert "Add a user." in alone.stderr
    assert "needs an interactive terminal" in of_file.stderr
    assert "moorage users list FILE" in of_server.stderr
    assert "after list" in misplaced.stderr


def test_list(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    outcome = moorage("users", "list", str(two))
    value = moorage("users", "list", str(two), "--json").json

    assert outcome.code == 0
    rows = [line.split() for line in outcome.stdout.splitlines()]
    assert rows[1] == ["ana", "pull", "team-a/*", "apr1", "all"]
    assert rows[2] == ["ci", "push", "all", "bcrypt", "all"]
    assert f"✓  {ONE}  up to date" in outcome.stdout
    assert value["users"][0] == {
        "name": "ana", "access": "pull", "repositories": ["team-a/*"], "hash": "apr1",
        "disabled": False, "counts": True, "servers": [ONE, TWO],
    }  # fmt: skip
    assert APR1 not in outcome.stdout + json.dumps(value)
    assert servers[ONE].runs == 0


def test_list_shows_outdated_servers(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    _deploy(servers, two, ONE, [CI], revision=2, missed=[TWO])
    behind = moorage("users", "list", str(two))
    servers[TWO].fault = no_answer(TWO)
    unreachable = moorage("users", "list", str(two))
    servers[TWO].fault = None
    _deploy(servers, two, ONE, [CI], edited=True)
    different = moorage("users", "list", str(two), "--json").json

    assert (behind.code, unreachable.code) == (0, 4)
    assert f"{TWO}  outdated: missed a change" in behind.stdout
    assert f"{TWO}  unreachable, outdated: No answer." in unreachable.stdout
    assert [each["status"] for each in different["servers"]] == ["modified", "up_to_date"]
    assert different["servers"][0]["edited_by_hand"] is True


def test_list_shows_a_change_in_progress(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    _deploy(servers, two, ONE, [CI], edited=True)
    servers[ONE].extra_facts = "run\t20261125T101112-ab12\tyes\t3\tswitch\t\t\n"

    outcome = moorage("users", "list", str(two))
    first = moorage("users", "list", str(two), "--json").json["servers"][0]
    changed = moorage("users", "disable", str(two), "ci", "--yes")

    assert f"…  {ONE}  run 20261125T101112-ab12 is in progress" in outcome.stdout
    assert "edited by hand" not in outcome.stdout
    assert (first["status"], first["run"]) == ("changing", "20261125T101112-ab12")
    assert first["edited_by_hand"] is False
    assert changed.code == 1
    assert "run 20261125T101112-ab12 is in progress" in changed.stderr
    assert "edited" not in changed.stderr


def test_list_names_servers_whose_logs_could_not_be_read(
    moorage: Moorage, two: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index()
    index.users["ci"] = [1767225600, 0]
    activity = Activity({ONE: index}, [MoorageError("is off.", server=TWO)])
    monkeypatch.setattr("moorage.deploy.users.last_seen.read_activity", lambda _: activity)
    outcome = moorage("users", "list", str(two), "--last-seen")
    value = moorage("users", "list", str(two), "--last-seen", "--json").json

    assert f"Last seen does not include {TWO}: could not read the logs." in outcome.stderr
    assert value["last_seen_without"] == [TWO]


def test_several_users_are_one_change(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    bob, eve = RegistryUser("bob", APR1), RegistryUser("eve", APR1)
    for host in (ONE, TWO):
        _deploy(servers, two, host, [CI, ANA, bob, eve])

    disabled = moorage("users", "disable", str(two), "bob", "eve", "bob", "--yes", "--json")
    unknown = moorage("users", "remove", str(two), "bob", "nobody", "--yes")
    both = ("--server", f"root@{ONE}", "--server", f"root@{TWO}")
    removed = moorage("users", "remove", *both, "ana", "bob", "--yes", "--json")
    enabled = moorage("users", "enable", str(two), "ci", "eve", "--yes")

    assert [each["user"] for each in disabled.json["changes"]] == ["bob", "eve"]
    assert unknown.code == 2
    assert "There is no user nobody." in unknown.stderr
    assert [each["user"] for each in removed.json["changes"]] == ["ana", "bob"]
    assert enabled.code == 0
    assert (servers[ONE].runs, servers[TWO].runs) == (3, 3)


def test_servers_given_as_options_are_read_once(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    for host in (ONE, TWO):
        _deploy(servers, two, host, [CI, ANA])

    outcome = moorage("users", "list", "--server", f"root@{ONE}", "--server", f"root@{TWO}")

    for host in (ONE, TWO):
        assert outcome.stderr.count(f"{host}: Connecting") == 1


def test_2_with_one_argument_too_many_which_is_named(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    outcome = moorage("users", "passwd", str(two), "ana", "ci", "--yes")

    assert outcome.code == 2
    assert "Expected FILE NAME" in outcome.stderr
    assert "Unexpected arguments: ci." in outcome.stderr


def test_a_change_based_on_an_old_state_has_to_be_repeated(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    servers[ONE].result = "@result\tfailed\tchanged_meanwhile\t/etc/nginx/moorage/htpasswd\n"
    late = moorage("users", "remove", str(two), "ana", "--yes")
    servers[ONE].result = "@result\tlocked\trun_locked\t20260101T000000000-ab12\n"
    locked = moorage("users", "remove", str(two), "ana", "--yes")

    assert "htpasswd was changed after it was read" in late.stdout
    assert "Try the change again." in late.stdout
    assert "then try the change again" in locked.stdout
    for outcome in (late, locked):
        assert "plan again" not in outcome.stdout
        assert "apply again" not in outcome.stdout


def test_0_when_a_user_is_added_and_the_file_updated(
    moorage: Moorage, two: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOB_PW", "gravel-lantern-19")

    outcome = moorage(
        "users", "add", str(two), "bob", "--access", "pull", "--password", "env:BOB_PW", "--yes"
    )

    assert outcome.code == 0, outcome.stderr
    assert (servers[ONE].runs, servers[TWO].runs) == (1, 1)
    assert "+ bob: pull all repositories (bcrypt hash)" in outcome.stderr
    assert f"{TWO}  same as on {ONE}" in outcome.stderr
    assert "$2y$" not in outcome.stderr
    bob = load(two).credentials.users[-1]
    assert (bob.name, bob.access, without_secrets(load(two))["credentials"]["users"][-1]) == (
        "bob", "pull", {"name": "bob", "access": "pull", "password": {"generate": True}},
    )  # fmt: skip


def test_a_rule_without_a_slash_is_explained(
    moorage: Moorage, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOB_PW", "gravel-lantern-19")
    note = "team-a is one repository; team-a/* is everything below it"
    bob = ("bob", "--access", "pull", "--password", "env:BOB_PW")

    added = moorage("users", "add", str(two), *bob, "--repository", "team-a", "--yes")
    everything = ("push", "--repository", "team-a/*", "--yes", "--json")
    below = moorage("users", "access", str(two), "bob", *everything)
    one = ("push", "--repository", "team-a", "--yes", "--json")
    again = moorage("users", "access", str(two), "bob", *one)

    assert note in added.stderr
    assert [each["note"] for each in below.json["changes"]] == [None]
    assert [each["note"] for each in again.json["changes"]] == [note]


def test_the_wizard_does_not_show_the_change_as_unapplied(
    moorage: Moorage, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_applied(Draft.from_answers(load(two)))
    monkeypatch.setenv("BOB_PW", "gravel-lantern-19")

    moorage("users", "add", str(two), "bob", "--password", "env:BOB_PW", "--yes")

    assert "bob" in two.read_text()
    assert not_applied(Draft.from_answers(load(two))) == ()


def test_no_save_leaves_the_file_alone(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    before = two.read_text()

    outcome = moorage("users", "disable", str(two), "ci", "--yes", "--no-save")

    assert outcome.code == 0
    assert two.read_text() == before
    assert "two.yml lists ci: applying it undoes this change" in outcome.stderr


def test_a_typed_password_is_rated_and_confirmed(
    moorage: Moorage, two: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    _type(monkeypatch, "x" * 73, "tide-43-lantern", "different", "tide-42-lantern",
          "tide-42-lantern")  # fmt: skip

    outcome = moorage("users", "passwd", str(two), "ana")

    assert outcome.code == 0, outcome.stderr
    assert "73 bytes (maximum 72" in outcome.stderr
    assert "Strength: strong" in outcome.stderr
    assert "The passwords do not match." in outcome.stderr
    assert "lantern" not in outcome.stdout + outcome.stderr
    assert servers[ONE].runs == 1


def test_a_weak_password_is_explained_and_prompted_for_again(
    moorage: Moorage, two: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    _type(monkeypatch, "password", "x", "ana")
    refused = moorage("users", "passwd", str(two), "ana", "--yes")
    _type(monkeypatch, "password", "tide-42-lantern", "tide-42-lantern")
    better = moorage("users", "passwd", str(two), "ana", "--yes")
    _type(monkeypatch, "password", "password")
    on_purpose = moorage("users", "passwd", str(two), "ana", "--yes", "--weak-password")

    assert (refused.code, better.code, on_purpose.code) == (2, 0, 0), better.stderr
    assert "Strength: very weak: This is a top-10 common password." in refused.stderr
    assert "Strength: very weak: It can be guessed within moments." in refused.stderr
    assert "Enter a stronger one" in refused.stderr
    assert "--generate" in refused.stderr
    assert servers[ONE].runs == 2


@pytest.mark.parametrize("password", ["x", "password", "bob"])
def test_2_when_a_password_is_weak_without_allow_weak(
    moorage: Moorage,
    two: Path,
    servers: FakeServers,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
) -> None:
    monkeypatch.setenv("BOB_PW", password)
    words = ("users", "add", str(two), "bob", "--yes", "--password", "env:BOB_PW")

    refused = moorage(*words)
    on_purpose = moorage(*words, "--weak-password")

    assert (refused.code, on_purpose.code) == (2, 0)
    assert "The password of bob is very weak: " in refused.stderr
    assert "--generate" in refused.stderr
    assert "--weak-password" in refused.stderr
    assert (servers[ONE].runs, servers[TWO].runs) == (1, 1)


def test_a_generated_password_is_shown_once(
    moorage: Moorage, two: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    words = ("users", "passwd", str(two), "ci", "--yes")
    unseen = moorage(*words)
    shown = moorage(*words, "--generate", "--show-passwords")
    kept = moorage(*words, "--json", "--passwords-to", "made.txt")

    assert unseen.code == 2
    assert "No destination for the generated password" in unseen.stderr
    password = next(line for line in shown.stdout.splitlines() if line.startswith("ci:"))[3:]
    assert len(password) == 22
    assert kept.json["generated"] == ["ci"]
    assert (home / "made.txt").read_text()[3:].strip() not in kept.stdout + kept.stderr
    assert servers[ONE].runs == 2


def test_the_same_password_is_not_a_change(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    ci = RegistryUser("ci", hash_password(Secret(os.environ["CI_PW"])), "push")
    for host in (ONE, TWO):
        _deploy(servers, two, host, [ci])

    outcome = moorage("users", "passwd", str(two), "ci", "--password", "env:CI_PW", "--yes")

    assert outcome.code == 0
    assert "ci already has this password." in outcome.stderr
    assert servers[ONE].runs == 0


def test_a_new_password_replaces_one_that_was_never_shown(
    moorage: Moorage, two: Path, servers: FakeServers, home: Path
) -> None:
    domain = load(two).registry.domain
    keep_unseen(domain, ["ana", "ci"])

    new = ("--yes", "--passwords-to", str(home / "new"))
    assert moorage("users", "disable", str(two), "ana", "--yes").code == 0
    assert moorage("users", "passwd", str(two), "ci", *new).code == 0
    assert unseen_passwords(domain) == ("ana",)

    assert moorage("users", "remove", str(two), "ana", "--yes").code == 0
    assert unseen_passwords(domain) == ()


def test_1_when_a_server_fails_and_the_others_undo_it(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    before = two.read_text()
    servers[TWO].result = "@result\tfailed\tnginx refuses the configuration\n"

    outcome = moorage("users", "remove", str(two), "ana", "--yes", "--json")

    assert outcome.code == 1
    first, second = (server["status"] for server in outcome.json["servers"])
    assert first in {"undone", "cancelled", "failed"}  # it had changed already, or not yet
    assert second == "failed"
    assert two.read_text() == before


def test_1_when_the_operator_says_no(
    moorage: Moorage, two: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    _type(monkeypatch, yes="n\n")

    outcome = moorage("users", "remove", str(two), "ana")

    assert outcome.code == 1
    assert "Nothing was changed." in outcome.stderr
    assert servers[ONE].runs == 0


@pytest.mark.parametrize(
    "words",
    [
        ["lst", "two.yml"],
        ["list"],
        ["list", "two.yml", "--server", "root@one.example.test"],
        ["list", "two.yml", "--key", "id"],
        ["list", "two.yml", "--limit", ONE],
        ["add", "two.yml", "--yes"],
        ["add", "two.yml", "bob"],
        ["add", "two.yml", "b b", "--yes"],
        ["add", "two.yml", "bob", "--yes", "--repository", "Team/*", "--generate"],
        ["add", "two.yml", "bob", "--yes", "--generate", "--password-stdin"],
        ["add", "two.yml", "bob", "--yes", "--password", "hunter2-hunter2"],
        ["add", "two.yml", "bob", "--yes", "--password", "env:NOT_SET"],
        ["add", "two.yml", "ANA", "--yes", "--generate", "--show-passwords"],
        ["passwd", "two.yml", "nobody", "--yes", "--show-passwords"],
        ["access", "two.yml", "ana", "admin", "--yes"],
        ["access", "two.yml", "ana", "push", "--access", "pull", "--yes"],
        ["access", "two.yml", "ana", "pull", "--yes", "--repository", "x", "--all-repositories"],
        ["remove", "two.yml", "ana"],
        ["remove", "two.yml", "nobody", "--yes"],
        ["import", "two.yml", "missing.htpasswd", "--access", "pull", "--yes"],
        ["import", "two.yml", "two.yml", "--yes"],
        ["import", "--from-server-file", "two.yml", "--access", "pull", "--yes"],
        ["import", "two.yml", "--from-server-file", "--access", "pull", "--yes"],
        ["export", "two.yml", "--to", "two.yml"],
    ],
)
def test_2_on_wrong_usage(
    moorage: Moorage, two: Path, servers: FakeServers, words: list[str]
) -> None:
    outcome = moorage("users", *words)

    assert outcome.code == 2
    assert outcome.stdout == ""
    assert "Error: " in outcome.stderr
    assert "hunter2" not in outcome.stderr
    assert (servers[ONE].runs, servers[TWO].runs) == (0, 0)


@pytest.mark.parametrize("access", [("pull",), ("--access", "pull")])
def test_access_is_an_argument_or_an_option(
    moorage: Moorage, two: Path, servers: FakeServers, access: tuple[str, ...]
) -> None:
    for server in (ONE, TWO):
        _deploy(servers, two, server, [CI])
    outcome = moorage("users", "access", str(two), "ci", *access, "--yes")
    assert outcome.code == 0, outcome.stderr
    assert "access: pull" in two.read_text()


def test_2_when_a_server_was_edited_by_hand_until_a_source_is_given(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    _deploy(servers, two, ONE, [CI], edited=True)
    words = ("users", "disable", str(two), "ci", "--yes")

    unnamed = moorage(*words)
    wrong = moorage(*words, "--from", "three.example.test")
    named = moorage("users", "access", str(two), "ana", "push", "--yes", "--from", TWO)

    assert (unnamed.code, wrong.code, named.code) == (2, 2, 0)
    assert (
        f"The users on {ONE} were edited by hand and differ from those on {TWO}" in unnamed.stderr
    )
    assert f"{ONE}: the users' files were edited by hand" in unnamed.stderr
    assert "htpasswd was edited by hand" in named.stderr
    assert (servers[ONE].runs, servers[TWO].runs) == (1, 1)


def test_4_when_a_server_cannot_be_reached_and_5_without_it(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    servers[TWO].fault = no_answer(TWO)
    words = ("users", "disable", str(two), "ci", "--yes")

    refused = moorage(*words)
    partly = moorage(*words, "--without-unreached")
    alone = moorage(*words, "--without-unreached", "--json")

    assert (refused.code, partly.code) == (4, 5)
    assert f"Error: {TWO}: No answer." in refused.stderr
    assert f"{TWO}  outdated: unreachable" in partly.stdout
    assert alone.json["left_out"] == [TWO]
    assert load(two).credentials.users[0].disabled is True


def test_130_when_a_change_is_cancelled(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    before = two.read_text()
    servers[ONE].waits_for_abort = servers[TWO].waits_for_abort = True

    def press() -> None:
        assert servers[ONE].has_begun.wait(600)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    outcome = moorage("users", "disable", str(two), "ci", "--yes")

    assert outcome.code == 130
    assert "Cancelling: " in outcome.stderr
    assert two.read_text() == before


def test_server_options_suffice_when_they_list_all(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    two.unlink()
    both = ("--server", f"admin@{TWO}", "--server", f"admin@{ONE}")

    listed = moorage("users", "list", *both, "--json").json
    assert (servers[ONE].connections, servers[TWO].connections) == (1, 1)
    changed = moorage("users", "disable", *both, "ci", "--yes")

    assert [server["server"] for server in listed["servers"]] == [ONE, TWO]
    assert changed.code == 0, changed.stderr
    assert (servers[ONE].runs, servers[TWO].runs) == (1, 1)
    assert "lists ci: applying it undoes this change" in changed.stderr


def test_2_when_a_recorded_server_was_not_given_without_a_terminal(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    outcome = moorage("users", "disable", "--server", f"admin@{TWO}", "ci", "--yes")
    value = moorage("users", "list", "--server", f"admin@{TWO}", "--json").json

    assert outcome.code == 2
    assert (
        f"The record on {TWO} names another server of registry.example.test: root@{ONE}."
        in outcome.stderr
    )
    assert f"Add --server root@{ONE}, or use the answers file." in outcome.stderr
    assert value["error"]["code"] == "servers_not_named"
    assert value["error"]["servers"] == [f"root@{ONE}"]
    assert (servers[ONE].connections, servers[TWO].runs) == (0, 0)


def test_a_recorded_server_is_contacted_after_confirmation(
    moorage: Moorage, two: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    _type(monkeypatch, yes="n\n")
    alone = moorage("users", "list", "--server", f"admin@{TWO}")
    assert alone.code == 1
    assert f"root@{ONE}" in alone.stderr
    assert f"{ONE}  unreachable" in alone.stdout
    assert servers[ONE].connections == 0

    _type(monkeypatch, yes="n\n")
    refused = moorage("users", "disable", "--server", f"admin@{TWO}", "ci", "--yes")
    assert refused.code == 1
    assert f"--server root@{ONE}" in refused.stderr
    assert (servers[ONE].connections, servers[TWO].runs) == (0, 0)

    _type(monkeypatch, yes="y\n")
    changed = moorage("users", "disable", "--server", f"admin@{TWO}", "ci", "--yes")
    assert changed.code == 0, changed.stderr
    assert (servers[ONE].runs, servers[TWO].runs) == (1, 1)


def test_a_record_naming_localhost_is_not_followed(
    moorage: Moorage, two: Path, servers: FakeServers
) -> None:
    record = json.loads(servers[TWO].files[layout.DEPLOYMENT])
    record["answers"]["servers"][0] |= {"host": "laptop", "connection": "local"}
    servers[TWO].files[layout.DEPLOYMENT] = json.dumps(record).encode()

    outcome = moorage("users", "list", "--server", f"admin@{TWO}")

    assert outcome.code == 1
    assert "laptop is recorded as the machine that Moorage ran on" in outcome.stderr
    assert set(servers) == {ONE, TWO}


def test_1_when_nothing_is_deployed(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    assert moorage("users", "list", str(answers_file)).code == 1
    assert moorage("users", "list", "--server", f"root@{ONE}").code == 1


def test_1_while_the_first_run_is_in_progress(
    moorage: Moorage, two: Path, home: Path, servers: FakeServers
) -> None:
    _deploy(servers, two, ONE, [CI])
    del servers[ONE].files[layout.DEPLOYMENT]
    for path in USER_FILES:
        servers[ONE].files.pop(path, None)
    servers[ONE].extra_facts = "run\t20261125T101112-ab12\tyes\t3\tstaged\t\t\n"

    one = write_answers(home / "one.yml", [ONE])
    for words in (["list", str(one)], ["add", str(one), "bob", "--generate", "--yes"]):
        outcome = moorage("users", *words)
        assert outcome.code == 1, outcome
        assert "has not deployed a registry" in outcome.stderr
        assert "Wait for the run in progress, 20261125T101112-ab12" in outcome.stderr


def test_import_reports_every_rejected_line(
    moorage: Moorage, two: Path, servers: FakeServers, home: Path
) -> None:
    before = two.read_text()
    other = "$apr1$saltsalt$" + "c" * 22
    (home / "old").write_text(f"bob:{APR1}\nplain:in-the-clear\nana:{other}\nnonsense\n")

    outcome = moorage("users", "import", "two.yml", "old", "--access", "pull", "--yes")
    value = moorage(
        "users", "import", "two.yml", "old", "--access", "pull", "--yes", "--json",
        "--on-existing", "replace",
    ).json  # fmt: skip

    assert outcome.code == 0, outcome.stderr
    assert (
        "Rejected: line 2, plain: the part after the colon looks like a password" in outcome.stderr
    )
    assert "Rejected: line 4: has no colon" in outcome.stderr
    assert "Existing users who keep their different password: ana" in outcome.stderr
    assert "1 added, 0 replaced, 1 kept, 2 lines rejected." in outcome.stderr
    assert "Access of added users: pull all repositories." in outcome.stderr
    assert (value["access"], value["repositories"]) == ("pull", [])
    assert "in-the-clear" not in outcome.stderr
    assert (value["added"], value["replaced"]) == ([], ["ana"])
    assert [each["line"] for each in value["rejected"]] == [2, 4]
    assert two.read_text() == before


def test_import_from_a_file_on_a_server(moorage: Moorage, two: Path, servers: FakeServers) -> None:
    path = "/etc/nginx/conf.d/cloud66.htpasswd"
    servers[TWO].files[path] = f"old:{APR1}\n".encode()
    words = ("users", "import", "two.yml", "--access", "pull", "--yes", "--from-server-file")

    outcome = moorage(*words)
    servers[ONE].files[path] = f"older:{APR1}\n".encode()
    differ = moorage(*words)
    chosen = moorage(*words, f"{ONE}:{path}")

    assert outcome.code == 0, outcome.stderr
    assert "+ old: pull all repositories (apr1 hash)" in outcome.stderr
    assert differ.code == 2
    assert chosen.code == 0
    assert "+ older: pull all repositories (apr1 hash)" in chosen.stderr


def test_users_of_the_older_product_keep_their_access(
    moorage: Moorage, two: Path, servers: FakeServers, home: Path
) -> None:
    path = "/etc/nginx/conf.d/cloud66.htpasswd"
    servers[TWO].files |= {path: f"old:{APR1}\n".encode(), "/root/htpasswd": f"o:{APR1}\n".encode()}
    (home / "old").write_text(f"bob:{APR1}\n")

    adopted = moorage("users", "import", "two.yml", "--yes", "--from-server-file")
    other = moorage("users", "import", "two.yml", "--yes", "--from-server-file", "/root/htpasswd")
    here = moorage("users", "import", "two.yml", "old", "--yes")
    limited = moorage(
        "users", "import", "two.yml", "old", "--yes", "--access", "pull", "--repository", "a/*"
    )

    assert adopted.code == 0, adopted.stderr
    assert "The users in this file could push everywhere" in adopted.stderr
    assert "+ old: push all repositories (apr1 hash)" in adopted.stderr
    assert (other.code, here.code) == (2, 2)
    assert "--access push or --access pull" in other.stderr
    assert "Access of added users: pull a/*." in limited.stderr


def test_export(moorage: Moorage, two: Path, servers: FakeServers, home: Path) -> None:
    out = RegistryUser("out", APR1, "pull", disabled=True)
    for host in (ONE, TWO):
        _deploy(servers, two, host, [CI, ANA, out])

    outcome = moorage("users", "export", str(two))
    to_file = moorage("users", "export", str(two), "--to", "users", "--json")

    assert outcome.stdout == f"ana:{APR1}\nci:{CI.hash}\n"
    assert "Left out (disabled): out." in outcome.stderr
    assert (home / "users").read_text() == outcome.stdout
    assert (home / "users").stat().st_mode & 0o777 == 0o600
    assert to_file.json["left_out"] == ["out"]
