"""Staged changes of the users: kept on top of what was read, taken back, told in words."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from fake_server import HASH, some_user
from walk import ANSWERS

from moorage.answers.load import load
from moorage.answers.repository_rules import repositories_note
from moorage.answers.save import save
from moorage.answers.secrets import Secret
from moorage.rows import Action
from moorage.users import edits
from moorage.users.answers_sync import UsersChange, sync_file
from moorage.users.describe import UserDifference, count_text, differences, notes
from screens.users.staging import StagedChange, Staging
from screens.users.table import ago
from tui.document.draft import Draft
from tui.document.saving import sync_draft

BASE = (some_user("ana", "pull", "team-a/*"), some_user("ci"))


def removal(name: str) -> StagedChange:
    return StagedChange(f"remove {name}", partial(edits.remove, names=(name,)))


def test_staged_changes_survive_a_reload() -> None:
    staging = Staging()
    staging.begin(BASE)
    staging.add(removal("ana"))
    lost = staging.begin((*BASE, some_user("eve")))
    assert not lost
    assert [user.name for user in staging.users] == ["ci", "eve"]


def test_changes_that_another_operator_made_are_no_longer_staged() -> None:
    staging = Staging()
    staging.begin(BASE)
    staging.add(removal("ana"))
    lost = staging.begin(BASE[1:])
    assert lost == ["remove ana: There is no user ana."]
    assert staging.count == 0


def test_only_passwords_that_will_apply_are_shown() -> None:
    staging = Staging()
    staging.begin(BASE)
    for number, value in enumerate(("x", "y")):
        made = {"ana": Secret(f"password {number}")}
        edit = partial(edits.set_password, name="ana", value=HASH[:-1] + value)
        staging.add(StagedChange("password of ana", edit, made))
    assert {name: made.reveal() for name, made in staging.generated_passwords.items()} == {
        "ana": "password 1"
    }
    staging.undo()
    assert staging.generated_passwords["ana"].reveal() == "password 0"
    staging.add(removal("ana"))
    assert staging.generated_passwords == {}


def test_differences_are_described() -> None:
    after = (
        some_user("ana", "push", disabled=True),
        some_user("dora", "pull", "team-d/*", "base"),
    )
    assert differences(BASE, after) == [
        UserDifference(
            Action.CHANGE,
            "ana",
            "pull team-a/* → push all repositories; disabled",
            ("access", "disabled"),
        ),
        UserDifference(Action.REMOVE, "ci", "removed, including the password"),
        UserDifference(
            Action.ADD,
            "dora",
            "pull team-d/* base (bcrypt hash)",
            note="base is one repository; base/* is everything below it",
        ),
    ]


@pytest.mark.parametrize(
    ("rules", "note"),
    [
        (("team-a",), "team-a is one repository; team-a/* is everything below it"),
        (("team-a", "b"), "team-a, b are one repository each; team-a/* is everything below team-a"),
        (("team-a", "team-a/*", "b/c"), ""),
        ((), ""),
    ],
)
def test_rules_that_look_like_a_folder_have_a_note(rules: tuple[str, ...], note: str) -> None:
    assert repositories_note(rules) == note
    user = some_user("ana", "pull", *rules)
    changed = (*differences(BASE[1:], (user, BASE[1])), *differences(BASE, (user, BASE[1])))
    assert notes(changed) == ([note] if note else [])


def test_changes_are_counted_as_users() -> None:
    after = (some_user("ana", "push"), some_user("dora"), some_user("eve"))
    assert count_text(differences(BASE, after)) == "2 users added, 1 changed, 1 removed"
    assert count_text(differences(BASE, BASE[1:])) == "1 user removed"


def test_generated_passwords_are_described_as_such() -> None:
    staging = Staging()
    staging.begin(BASE)
    new = partial(edits.add, user=some_user("dora"))
    reset = partial(edits.set_password, name="ana", value=HASH[:-1] + "x")
    staging.add(StagedChange("add dora", new, {"dora": Secret("a")}))
    staging.add(StagedChange("password of ana", reset, {"ana": Secret("b")}))
    assert [each.text for each in staging.differences] == [
        "generated password",
        "push all repositories (generated password)",
    ]


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("", "-"),
        ("2026-05-10T11:59:30Z", "just now"),
        ("2026-05-10T09:00:00Z", "3 h ago"),
        ("2026-05-09T11:00:00Z", "1 day ago"),
        ("2025-05-09T11:00:00Z", "2025-05-09"),
        ("2026-05-10T12:30:00Z", "just now"),  # the server's clock is ahead
    ],
)
def test_ages_are_described(moment: str, words: str) -> None:
    assert ago(moment, datetime(2026, 5, 10, 12, 0, tzinfo=UTC)) == words


def test_answers_are_updated_except_for_imported_users(tmp_path: Path) -> None:
    draft = Draft(ANSWERS)
    path = tmp_path / "moorage.yml"
    save(draft.answers(), path)
    path.write_text("# mine\n" + path.read_text())
    after = (some_user("ci", "pull"), some_user("dora"), some_user("imported"))
    change = UsersChange((some_user("ci"),), after, ("dora",))
    assert sync_file(path, change) == (f"Updated {path.name}.",)
    assert path.read_text().startswith("# mine\n")
    users = load(path).credentials.users
    assert [(user.name, user.access) for user in users] == [("ci", "pull"), ("dora", "push")]
    sync_draft(draft, change)
    assert [user["name"] for user in draft.items("credentials.users")] == ["ci", "dora"]
    assert sync_file(path, change) is None
