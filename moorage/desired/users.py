"""The users' files: password hashes (htpasswd) and access rules (the access map)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from moorage.desired import layout

Access = Literal["push", "pull"]

EVERYTHING = "*"
"""All repositories, in the access map."""

# Keeps names and hashes from other tools unchanged, whatever their encoding.
_ENCODING = ("utf-8", "surrogateescape")
# By default, keys in nginx's map hash can have 46 bytes; longer ones become regular expressions.
_LONGEST_KEY = 46
# Keywords at the start of a line in an nginx map.
_MAP_WORDS = {"default", "hostnames", "include", "volatile"}
# One server's map is copied to others, so only lines in Moorage's own format are read.
_LINE = re.compile(r'"((?:~\^)?[\w.@+$\\-]+)" "(push|pull) ([a-z0-9._/* -]+)";', re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class RegistryUser:
    """A registry user, as in a server's files.

    Attributes:
        name: The login name.
        hash: The password hash in htpasswd format.
        access: push allows push, pull and delete; pull only pull; None if the user is not in the
            access map (the htpasswd file was edited by hand), which denies everything.
        repositories: The allowed repositories, ``team-a/*`` for all below; empty for all.
        disabled: Whether the user is disabled.
    """

    name: str
    hash: str = field(repr=False)
    access: Access | None = "push"
    repositories: tuple[str, ...] = ()
    disabled: bool = False

    @property
    def rules(self) -> str:
        """The user's value in the access map."""
        return f"{self.access} {' '.join(self.repositories) or EVERYTHING}"


def user_files(users: Sequence[RegistryUser]) -> dict[str, bytes]:
    """Return the content of the users' files, by path.

    The file of disabled users exists only if there are any. Users are sorted by name, so that the
    same users always give the same files.
    """
    users = sorted(users, key=lambda user: user.name)
    files = {
        layout.HTPASSWD: htpasswd(user for user in users if not user.disabled),
        layout.ACCESS_MAP: access_map(users),
    }
    disabled = [user for user in users if user.disabled]
    if disabled:
        files[layout.HTPASSWD_DISABLED] = htpasswd(disabled)
    return files


def read_users(files: Mapping[str, bytes]) -> tuple[RegistryUser, ...]:
    """Return the users in a server's files; the inverse of :func:`user_files`.

    Args:
        files: The contents of the existing files, by path.
    """
    access = read_access_map(files.get(layout.ACCESS_MAP, b""))
    users = []
    for path, disabled in ((layout.HTPASSWD, False), (layout.HTPASSWD_DISABLED, True)):
        for name, value in read_htpasswd(files.get(path, b"")).items():
            may, repositories = access.get(name.lower(), (None, ()))
            users.append(RegistryUser(name, value, may, repositories, disabled))
    enabled = {user.name for user in users if not user.disabled}
    return tuple(user for user in users if not (user.disabled and user.name in enabled))


def htpasswd(users: Iterable[RegistryUser]) -> bytes:
    """Return an htpasswd file."""
    return "".join(f"{user.name}:{user.hash}\n" for user in users).encode(*_ENCODING)


def read_htpasswd(content: bytes) -> dict[str, str]:
    """Return the hashes by user name; as in nginx, a name's first line wins."""
    hashes: dict[str, str] = {}
    for line in content.decode(*_ENCODING).split("\n"):
        name, separator, rest = line.rstrip("\r").partition(":")
        if separator and name and not name.startswith("#"):
            hashes.setdefault(name, rest.partition(":")[0])
    return hashes


def access_map(users: Iterable[RegistryUser]) -> bytes:
    """Return the lines of the nginx map from user name to access and repositories."""
    lines = [
        "# Written by Moorage. Each user's access: push (includes pull and delete) or pull, then",
        "# the repositories: a name, team-a/* for everything below team-a, or * for all.",
    ]
    lines += [f'"{_key(user.name)}" "{user.rules}";' for user in users if user.access is not None]
    return ("\n".join(lines) + "\n").encode(*_ENCODING)


def read_access_map(content: bytes) -> dict[str, tuple[Access, tuple[str, ...]]]:
    """Return access and repositories by user name in lower case, as nginx looks names up."""
    found: dict[str, tuple[Access, tuple[str, ...]]] = {}
    for line in content.decode(*_ENCODING).split("\n"):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        key, word, rules = match.groups()
        repositories = () if rules == EVERYTHING else tuple(rules.split())
        access: Access = "push" if word == "push" else "pull"
        found.setdefault(_name(key).lower(), (access, repositories))
    return found


def _key(name: str) -> str:
    """Return a user name as a key of the map."""
    # In quotes, nginx reads two backslashes as one, and \t, \r and \n as control characters.
    if len(name) > _LONGEST_KEY:
        pattern = re.sub(r"[.+$\\]", r"\\\g<0>", name)
        return "~^" + pattern.replace("\\\\", "\\\\\\\\") + "$"
    return "\\" + name if name.lower() in _MAP_WORDS else name.replace("\\", "\\\\")


def _name(key: str) -> str:
    """Return the user name of a key; the inverse of :func:`_key`."""
    if key.startswith("~^"):
        pattern = key[2:].removesuffix("$").replace("\\\\\\\\", "\\\\")
        return _ESCAPED.sub(r"\1", pattern)
    if key.startswith("\\"):
        return key[1:]
    return key.replace("\\\\", "\\")
