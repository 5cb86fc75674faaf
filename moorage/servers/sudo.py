"""Turn sudo's refusals into messages for the operator."""

from __future__ import annotations

import re
from dataclasses import dataclass

from moorage.errors import SecretName, SudoRefused

_NOT_FOUND = 127


@dataclass(frozen=True)
class _Reason:
    code: str
    message: str
    advice: str
    pattern: str
    """Matches sudo's message in English."""
    fields: tuple[str, ...] = ()

    def error(self, user: str, server: str) -> SudoRefused:
        return SudoRefused(
            self.message.format(user=user),
            advice=self.advice.format(user=user),
            fields=self.fields,
            server=server,
            code=self.code,
            refused=SecretName("sudo_password", user),
        )


_MISSING = _Reason(
    "sudo_missing",
    "sudo is not installed on the server, and {user} is not root.",
    "Install sudo on the server, or log in as root.",
    r"sudo: (command )?not found",
)
_WRONG = _Reason(
    "sudo_password_wrong",
    "sudo does not accept the password of {user}.",
    "Check the sudo password: sudo asks for the password {user} has on the server.",
    r"Sorry, try again|incorrect password attempt|Authentication failure|Maximum \d+ attempts",
    ("servers[].sudo_password",),
)
_NO_PASSWORD = _Reason(
    "sudo_password_missing",
    "sudo asks for the password of {user}, but none was given.",
    "Enter the sudo password, or allow {user} to use sudo without a password.",
    r"a (terminal|password) is required|no password was provided|no askpass program",
    ("servers[].sudo_password",),
)
PASSWORD_CODES = {_WRONG.code, _NO_PASSWORD.code}
"""The codes of errors that another password can solve."""
_REASONS = (
    _Reason(
        "sudo_not_allowed",
        "{user} is not allowed to become root with sudo.",
        "Allow it on the server (usermod -aG sudo {user}), or log in as another user.",
        r"is not in the sudoers file|may not run sudo|is not allowed to (execute|run)",
    ),
    _Reason(
        "sudo_requires_tty",
        "sudo on the server only works from a terminal (requiretty).",
        "Add 'Defaults:{user} !requiretty' to the server's sudoers (visudo), or log in as root.",
        r"must have a tty|no tty present",
    ),
    _Reason(
        "sudo_account_expired",
        "The account {user} has expired or is locked on the server, so sudo refuses it.",
        "Log in once with ssh and change the password, or use another user.",
        r"(account|password) (is |has )?(expired|locked)|account validation failure",
    ),
    _MISSING,
    _WRONG,
    _NO_PASSWORD,
)


def password_wrong(user: str, server: str) -> SudoRefused:
    """Return the error for a password that sudo rejected."""
    return _WRONG.error(user, server)


def password_missing(user: str, server: str) -> SudoRefused:
    """Return the error for a missing password."""
    return _NO_PASSWORD.error(user, server)


def refusal(text: str, status: int, user: str, server: str) -> SudoRefused:
    """Return the error for a message of sudo's.

    Args:
        text: Its standard error, without prompts.
        status: Its exit status.
        user: The logged-in user.
        server: The server's label.
    """
    # By the exit status: the shell reports a missing sudo in the server's language.
    if status == _NOT_FOUND:
        return _MISSING.error(user, server)
    for reason in _REASONS:
        if re.search(reason.pattern, text, re.IGNORECASE):
            return reason.error(user, server)
    output = " ".join(text.split())[-300:]
    return SudoRefused(
        f"{user} cannot become root with sudo" + (f": {output}" if output else "."),
        advice=f"Log in with 'ssh {user}@{server}' and try 'sudo id'.",
        server=server,
        refused=SecretName("sudo_password", user),
    )
