"""Answers follow what was done to the users on the servers, and nothing else."""

from __future__ import annotations

from typing import Any

from commented_answers import TEXT

from moorage.answers.load import loads
from moorage.answers.model import Answers
from moorage.answers.secrets import FromEnvironment, Generated
from moorage.desired.users import RegistryUser
from moorage.users import edits
from moorage.users.answers_sync import UsersChange, sync

THERE = (RegistryUser("ci", "h1", "push"), RegistryUser("ana", "h2", "pull"))


def _users(answers: Answers) -> dict[str, dict[str, Any]]:
    users = answers.model_dump(mode="json", exclude_defaults=True)["credentials"]["users"]
    return {user["name"]: user for user in users}


def test_only_changed_users_are_rewritten() -> None:
    answers = loads(TEXT.replace("access: pull", "access: push"))  # not applied yet

    after = edits.set_password(THERE, "ana", "h3")
    line = sync(answers, UsersChange(THERE, after))

    assert line.answers == answers
    assert line.notices == ()


def test_access_repositories_and_disabled_are_updated() -> None:
    after = edits.set_access(THERE, "ana", "push", ["team-a/*"])
    after = edits.set_disabled(after, ["ana"], True)

    ana = _users(sync(loads(TEXT), UsersChange(THERE, after)).answers)["ana"]

    assert ana == {
        "name": "ana", "repositories": ["team-a/*"], "disabled": True,
        "password": {"generate": True},
    }  # fmt: skip


def test_a_changed_password_becomes_generate_in_the_answers() -> None:
    after = edits.set_password(THERE, "ci", "h3")

    line = sync(loads(TEXT), UsersChange(THERE, after))
    same = sync(loads(TEXT), UsersChange(THERE, after, reference=FromEnvironment("CI_PW")))

    assert _users(line.answers)["ci"]["password"] == {"generate": True}
    assert "The password of ci in the answers was out of date" in line.notices[0]
    assert _users(same.answers)["ci"]["password"] == {"env": "CI_PW"}
    assert same.notices == ()


def test_a_removed_user_is_deleted_and_one_not_yet_applied_stays() -> None:
    only_ci = THERE[:1]

    assert set(_users(sync(loads(TEXT), UsersChange(THERE, only_ci)).answers)) == {"ci"}
    assert set(_users(sync(loads(TEXT), UsersChange(only_ci, only_ci)).answers)) == {"ci", "ana"}


def test_new_users_are_listed_only_on_request() -> None:
    after = edits.add(THERE, RegistryUser("bob", "h3", "pull", ("x/*",)))

    assert sync(loads(TEXT), UsersChange(THERE, after)).answers == loads(TEXT)
    listed = sync(loads(TEXT), UsersChange(THERE, after, listed=["bob"])).answers
    assert listed.credentials.users[-1].name == "bob"
    assert listed.credentials.users[-1].password == Generated(generate=True)


def test_the_list_of_users_never_becomes_empty() -> None:
    before = (*THERE, RegistryUser("bob", "h3", "pull"))

    line = sync(loads(TEXT), UsersChange(before, before[2:]))

    assert set(_users(line.answers)) == {"bob"}
    assert "Added bob to the answers" in line.notices[0]
