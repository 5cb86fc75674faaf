"""What sudo says, and what becomes of it."""

from __future__ import annotations

import pytest

from moorage.servers import sudo


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ("ana is not in the sudoers file.  This incident will be reported.", 1, "sudo_not_allowed"),
        ("Sorry, user ana may not run sudo on web.", 1, "sudo_not_allowed"),
        ("Sorry, user ana is not allowed to execute '/bin/sh' as root on web.", 1,
         "sudo_not_allowed"),
        ("sudo: sorry, you must have a tty to run sudo", 1, "sudo_requires_tty"),
        ("env: \u2018sudo\u2019: Datei oder Verzeichnis nicht gefunden", 127, "sudo_missing"),
        ("sudo: Account or password is expired, reset your password and try again", 1,
         "sudo_account_expired"),
        ("Sorry, try again.\nsudo: 1 incorrect password attempt", 1, "sudo_password_wrong"),
        ("sudo: a password is required", 1, "sudo_password_missing"),
        ("sudo: /etc/sudo.conf is owned by uid 7, should be 0", 1, "sudo_refused"),
    ],
)  # fmt: skip
def test_each_refusal_has_a_code_and_advice(said: str, status: int, code: str) -> None:
    error = sudo.refusal(said, status, "ana", "web")
    assert (error.code, error.server) == (code, "web")
    assert "ana" in error.message + error.advice
    assert error.advice


def test_unknown_messages_of_sudo_are_shown() -> None:
    assert "owned by uid 7" in sudo.refusal("sudo: x is owned by uid 7", 1, "ana", "web").message
