"""Mask the secrets in files before they are displayed.

Files from servers are not trusted: a line is shown only if the file's format guarantees that it is
not part of a secret. Everything else is masked.
"""

from __future__ import annotations

import re
from enum import StrEnum

from moorage.answers.secrets import MASK
from moorage.desired import layout


class SecretKind(StrEnum):
    """The format of a file with secrets, which decides what is shown."""

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

# The first group is the part of a line that is shown, if the whole line matches.
_SHAPES = {
    SecretKind.PEM: re.compile(
        r"(-----(?:BEGIN|END) (?:(?:EC |RSA |DSA |ENCRYPTED |OPENSSH )?PRIVATE KEY|"
        r"EC PARAMETERS|CERTIFICATE)-----)"
    ),
    # The names written by our templates; base64 has no "_" or "-".
    SecretKind.SETTINGS: re.compile(
        r"((?:(?:REGISTRY|AWS|HTTP|HTTPS|NO|OTEL)_[A-Z0-9_-]+|(?:aws|dns)_[a-z0-9_]+|"
        r"domains|cert-name|server|email|register-unsafely-without-email|no-eff-email|"
        r"agree-tos|key-type|preferred-challenges|authenticator|webroot-path|deploy-hook|"
        r"dns-[a-z0-9]+-(?:credentials|propagation-seconds)|eab-kid|eab-hmac-key) ?= ?).*",
        re.DOTALL,
    ),
    # A name is shown only before a hash, in case name and password were swapped.
    SecretKind.HTPASSWD: re.compile(
        r"([^:\s\x00-\x1f\x7f-\x9f]{1,128}:)(?:\$[0-9a-z]{1,4}\$|\{[A-Z0-9]+\}).*", re.DOTALL
    ),
    SecretKind.OPAQUE: re.compile("()(?!)"),
}
_PRIVATE_KEY = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


def kind_of_secret(path: str) -> SecretKind | None:
    """Return the format of a file with secrets; None if it has none.

    Args:
        path: The file's path on a server.
    """
    return _KINDS.get(path)


def masked(kind: SecretKind, text: str, label: str, other: str = "", ours: str = "") -> str:
    """Return a file with its secrets masked.

    Args:
        kind: The file's format.
        text: Its content.
        label: The label of masked lines that the other version does not have.
        other: The other version; lines in both are labelled as unchanged.
        ours: Moorage's version: only comments from it are shown.
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
        # Collapse consecutive masked lines, such as a key's.
        if visible or lines[-1:] != [shown]:
            lines.append(shown)
    return "".join(f"{line}\n" for line in lines)


def without_private_keys(text: str) -> str:
    """Return a text with private keys masked, for files that should not contain any."""
    return _PRIVATE_KEY.sub(rf"\1{MASK}\n\2", text)
