"""Which files hold secrets, and what people may see of them: their shape, never a value.

What is on a server is no more trusted here than elsewhere: a line is shown only where the file's
kind says that it cannot be part of a secret. Everything else is masked.
"""

from __future__ import annotations

import re
from enum import StrEnum

from moorage.answers.secrets import MASK
from moorage.desired import layout


class SecretKind(StrEnum):
    """How a file with secrets is written, which decides what of it is shown."""

    PEM = "pem"
    """Only the lines around the blocks are shown."""
    SETTINGS = "settings"
    """NAME=value lines: the names are shown."""
    HTPASSWD = "htpasswd"
    """NAME:hash lines: the names are shown."""
    OPAQUE = "opaque"
    """Nothing is shown."""


_KINDS = {
    layout.TLS_KEY: SecretKind.PEM,
    layout.REGISTRY_ENV: SecretKind.SETTINGS,
    layout.CERTBOT_CONFIG: SecretKind.SETTINGS,
    layout.DNS_CREDENTIALS: SecretKind.SETTINGS,
    layout.HTPASSWD: SecretKind.HTPASSWD,
    layout.HTPASSWD_DISABLED: SecretKind.HTPASSWD,
    layout.AUTH_KEY: SecretKind.OPAQUE,
}

# What of a line is shown: the first group, if the line as a whole is of the kind.
_SHAPES = {
    SecretKind.PEM: re.compile(
        r"(-----(?:BEGIN|END) (?:(?:EC |RSA |DSA |ENCRYPTED |OPENSSH )?PRIVATE KEY|"
        r"EC PARAMETERS|CERTIFICATE)-----)"
    ),
    # The names that our own templates write: base64 has neither their "_" nor their "-".
    SecretKind.SETTINGS: re.compile(
        r"((?:(?:REGISTRY|AWS|HTTP|HTTPS|NO|OTEL)_[A-Z0-9_-]+|(?:aws|dns)_[a-z0-9_]+|"
        r"domains|cert-name|server|email|register-unsafely-without-email|no-eff-email|"
        r"agree-tos|key-type|preferred-challenges|authenticator|webroot-path|deploy-hook|"
        r"dns-[a-z0-9]+-(?:credentials|propagation-seconds)|eab-kid|eab-hmac-key) ?= ?).*",
        re.DOTALL,
    ),
    # Only before a hash stands a name; elsewhere somebody may have mixed the two up.
    SecretKind.HTPASSWD: re.compile(
        r"([^:\s\x00-\x1f\x7f-\x9f]{1,128}:)(?:\$[0-9a-z]{1,4}\$|\{[A-Z0-9]+\}).*", re.DOTALL
    ),
    SecretKind.OPAQUE: re.compile("()(?!)"),
}
_PRIVATE_KEY = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


def kind_of_secret(path: str) -> SecretKind | None:
    """Return how a file with secrets is written; None when it holds none.

    Args:
        path: Where the file is on a server.
    """
    return _KINDS.get(path)


def masked(kind: SecretKind, text: str, label: str, other: str = "", ours: str = "") -> str:
    """Return what people see of a file with secrets.

    Args:
        kind: How the file is written.
        text: Its content, from wherever.
        label: Stands behind a masked line that the other version does not have.
        other: The other version; lines that both have are marked as unchanged.
        ours: What Moorage writes there: its comments are shown, nobody else's are.
    """
    unchanged = frozenset(other.splitlines())
    plain = frozenset(line for line in ours.splitlines() if line.startswith("#"))
    lines: list[str] = []
    for line in text.splitlines():
        match = _SHAPES[kind].fullmatch(line)
        visible = match[1] if match else ""
        if line in plain or line == visible or not line.strip():
            lines.append(line.strip())
            continue
        shown = f"{visible}{MASK} ({'unchanged' if line in unchanged else label})"
        # How many lines a key has says nothing to anybody.
        if visible or lines[-1:] != [shown]:
            lines.append(shown)
    return "".join(f"{line}\n" for line in lines)


def without_private_keys(text: str) -> str:
    """Return the text of a file that should hold no secrets, without private keys in it."""
    return _PRIVATE_KEY.sub(rf"\1{MASK}\n\2", text)
