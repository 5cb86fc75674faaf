"""What sudo says when it does not let somebody become root, in words for the operator."""

from __future__ import annotations

import re

from moorage.errors import SudoRefused

_REASONS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"is not in the sudoers file|may not run sudo|is not allowed to (execute|run)",
        "sudo_not_allowed",
        "{user} is not allowed to become root with sudo.",
        "Allow it on the server (usermod -aG sudo {user}), or log in as another user.",
    ),
    (
        r"must have a tty|no tty present",
        "sudo_requires_tty",
        "sudo on the server only works from a terminal (requiretty).",
        "Add 'Defaults:{user} !requiretty' to the server's sudoers (visudo), or log in as root.",
    ),
    (
        r"sudo.{0,12}: (command )?not found|'?sudo'?: No such file",
        "sudo_missing",
        "sudo is not installed on the server, and {user} is not root.",
        "Install sudo on the server, or log in as root.",
    ),
    (
        r"Sorry, try again|incorrect password attempt|Authentication failure|Maximum \d+ attempts",
        "sudo_password_wrong",
        "sudo does not accept the password of {user}.",
        "Check sudo_password: sudo asks for the password {user} has on the server.",
    ),
    (
        r"a (terminal|password) is required|no password was provided|no askpass program",
        "sudo_password_missing",
        "sudo asks for the password of {user}, and there is none to give.",
        "Give sudo_password, or allow {user} to use sudo without a password.",
    ),
    (
        r"(account|password) (is |has )?(expired|locked)|account validation failure",
        "sudo_account_expired",
        "The account {user} has expired or is locked on the server: sudo does not let it in.",
        "Log in with ssh once and renew the password, or use another user.",
    ),
)


def password_wrong(user: str, server: str) -> SudoRefused:
    """The error for a password that sudo did not take."""
    _, code, message, hint = _REASONS[3]
    return SudoRefused(
        message.format(user=user), hint=hint.format(user=user), server=server, code=code
    )


def password_missing(user: str, server: str) -> SudoRefused:
    """The error for a password that is wanted and that nobody has."""
    _, code, message, hint = _REASONS[4]
    return SudoRefused(
        message.format(user=user), hint=hint.format(user=user), server=server, code=code
    )


def refusal(text: str, user: str, server: str) -> SudoRefused:
    """Make sense of what sudo said before it gave up.

    Args:
        text: Its standard error, without prompts.
        user: Who logged in.
        server: The server's label.
    """
    for pattern, code, message, hint in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return SudoRefused(
                message.format(user=user), hint=hint.format(user=user), server=server, code=code
            )
    said = " ".join(text.split())[-300:]
    return SudoRefused(
        f"{user} cannot become root with sudo" + (f": {said}" if said else "."),
        hint=f"Log in with 'ssh {user}@{server}' and try 'sudo id'.",
        server=server,
    )
