"""Changes to the users."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from moorage.desired.users import RegistryUser
from moorage.users import edits

CI = RegistryUser("ci", "h1", "push")
ANA = RegistryUser("ana", "h2", "pull", ("team-a/*",))
OUT = RegistryUser("out", "h3", "pull", disabled=True)
USERS = (CI, ANA, OUT)


def test_each_change_touches_one_user_and_one_thing() -> None:
    assert edits.set_password(USERS, "ana", "h9") == (
        CI, RegistryUser("ana", "h9", "pull", ("team-a/*",)), OUT,
    )  # fmt: skip
    assert edits.set_access(USERS, "ci", "pull", ["x/*"])[0] == RegistryUser(
        "ci", "h1", "pull", ("x/*",)
    )
    assert edits.set_disabled(USERS, ["out"], False)[2] == RegistryUser("out", "h3", "pull")
    assert edits.remove(USERS, ["ana"]) == (CI, OUT)
    assert edits.add(USERS, RegistryUser("bob", "h4"))[3].name == "bob"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: edits.add(USERS, RegistryUser("ana", "h")), "user_exists"),
        (lambda: edits.add(USERS, RegistryUser("ANA", "h")), "user_exists"),
        (lambda: edits.add(USERS, RegistryUser("a:b", "h")), "wrong_user"),
        (lambda: edits.set_access(USERS, "ana", "pull", ["Team"]), "wrong_user"),
        (lambda: edits.set_password(USERS, "Ana", "h"), "unknown_user"),
        (lambda: edits.remove((CI, OUT), ["ci"]), "last_user"),
        (lambda: edits.set_disabled((CI, OUT), ["ci"], True), "last_user"),
    ],
)
def test_invalid_changes_are_rejected_with_advice(change: Callable[[], object], code: str) -> None:
    with pytest.raises(edits.WrongUserError) as refused:
        change()

    assert refused.value.code == code
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Ana", "Did you mean ana?"),
        ("anna", "Did you mean ana?"),
        ("ci,ana", "Separate names with spaces. Existing users: ci, ana, out."),
        ("zzz", "Existing users: ci, ana, out."),
    ],
)
def test_advice_about_an_unknown_user(name: str, advice: str) -> None:
    with pytest.raises(edits.WrongUserError) as refused:
        edits.remove(USERS, [name])
    assert refused.value.advice == advice


def test_the_same_name_and_one_that_differs_only_in_case_get_different_advice() -> None:
    with pytest.raises(edits.WrongUserError) as same:
        edits.add(USERS, RegistryUser("ana", "h"))
    with pytest.raises(edits.WrongUserError) as like:
        edits.add(USERS, RegistryUser("ANA", "h"))

    assert "moorage users passwd" in same.value.advice
    assert "moorage users access" in same.value.advice
    assert "case" not in same.value.advice
    assert "case" in like.value.advice
