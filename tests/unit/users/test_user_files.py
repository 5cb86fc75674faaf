from __future__ import annotations

import pytest

from moorage.answers.secrets import Secret
from moorage.desired import layout
from moorage.desired.users import RegistryUser, access_map, read_users, user_files
from moorage.users import edits
from moorage.users.passwords import password_problem

USERS = (
    RegistryUser("ci", "$2y$12$ci"),
    RegistryUser("ana", "$2y$12$ana", "pull", ("team-a/*",)),
    RegistryUser("bob", "$2y$12$bob"),
)


def test_disabling_and_enabling_restores_the_same_files() -> None:
    before = user_files(USERS)

    disabled = read_users(user_files(edits.set_disabled(USERS, ["ana"], True)))
    enabled = user_files(edits.set_disabled(disabled, ["ana"], False))

    assert enabled == before


def test_files_do_not_depend_on_the_order_of_users() -> None:
    assert user_files(USERS) == user_files(USERS[::-1])


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x85"])
def test_a_password_has_no_control_characters(character: str) -> None:
    assert "control character" in password_problem(Secret(f"a{character}b"))


@pytest.mark.parametrize(
    "line",
    [
        '"ana" "push team-a\\";',  # would quote what follows
        '"ana" "push $request_body";',
        '";} server { access_log /etc/cron.d/x; } map $a $b {" "push *";',
        '"~^(a+)+$" "push *";',
        '"ana" "push *"; include /etc/passwd;',
    ],
)
def test_a_map_with_foreign_directives_is_not_copied_to_other_servers(line: str) -> None:
    files = {layout.HTPASSWD: b"ana:$2y$12$x\n", layout.ACCESS_MAP: f"{line}\n".encode()}

    users = read_users(files)

    assert [(user.name, user.access) for user in users] == [("ana", None)]
    assert b";}" not in access_map(users)
    assert b"$" not in access_map(users)
