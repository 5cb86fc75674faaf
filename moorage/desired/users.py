"""The users as files: their password hashes (htpasswd) and what they may do (the access map)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from moorage.desired import layout

Access = Literal["push", "pull"]

EVERYTHING = "*"
"""What the access map says of somebody who may use all repositories."""

# Names and hashes that somebody else wrote go through unchanged, whatever they are encoded in.
_ENCODING = ("utf-8", "surrogateescape")
# nginx's hash of a map takes keys of 46 bytes with its usual settings; longer ones are patterns.
_LONGEST_KEY = 46
# Words that mean something else at the beginning of a line of an nginx map.
_MAP_WORDS = {"default", "hostnames", "include", "volatile"}
# A server's map becomes other servers' map, so only what Moorage writes is understood: quotes,
# dollars and backslashes would mean something to nginx.
_LINE = re.compile(r'"(?:\\|~\^)?([\w.@+\\-]+?)\$?" "(push|pull) ([a-z0-9._/* -]+)";', re.ASCII)


@dataclass(frozen=True)
class RegistryUser:
    """Somebody who logs in to the registry, as a server has them.

    Attributes:
        name: What they type at docker login.
        hash: Their password's hash, as htpasswd holds it.
        access: push may push, pull and delete; pull may only pull; None when the access map does
            not know them (somebody else wrote the htpasswd file): they are denied everything.
        repositories: The repositories they may use, ``team-a/*`` for all below; all when empty.
        disabled: Whether they are kept out for now.
    """

    name: str
    hash: str = field(repr=False)
    access: Access | None = "push"
    repositories: tuple[str, ...] = ()
    disabled: bool = False

    @property
    def rules(self) -> str:
        """What they may do, as the access map says it."""
        return f"{self.access} {' '.join(self.repositories) or EVERYTHING}"


def user_files(users: Sequence[RegistryUser]) -> dict[str, bytes]:
    """Return the content of the files that hold the users, by path.

    The file of disabled users is only there while somebody is disabled. The order is that of the
    names, so that the same users are always the same files.
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
    """Return the users that a server's files hold; the inverse of :func:`user_files`.

    Args:
        files: The contents of the files that are there, by path.
    """
    access = read_access_map(files.get(layout.ACCESS_MAP, b""))
    users = []
    for path, disabled in ((layout.HTPASSWD, False), (layout.HTPASSWD_DISABLED, True)):
        for name, value in read_htpasswd(files.get(path, b"")).items():
            may, repositories = access.get(name.lower(), (None, ()))
            users.append(RegistryUser(name, value, may, repositories, disabled))
    seen = {user.name for user in users if not user.disabled}
    return tuple(user for user in users if not (user.disabled and user.name in seen))


def htpasswd(users: Iterable[RegistryUser]) -> bytes:
    """Return an htpasswd file."""
    return "".join(f"{user.name}:{user.hash}\n" for user in users).encode(*_ENCODING)


def read_htpasswd(content: bytes) -> dict[str, str]:
    """Return the hashes by user name; the first line of a name counts, as it does for nginx."""
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
    """Return access and repositories by user name in small letters, which is how nginx looks."""
    found: dict[str, tuple[Access, tuple[str, ...]]] = {}
    for line in content.decode(*_ENCODING).split("\n"):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        name, word, rules = match.groups()
        repositories = () if rules == EVERYTHING else tuple(rules.split())
        access: Access = "push" if word == "push" else "pull"
        found.setdefault(name.replace("\\", "").lower(), (access, repositories))
    return found


def _key(name: str) -> str:
    """Write a user name as the key of a map's line."""
    if len(name) > _LONGEST_KEY:
        return "~^" + re.sub(r"[.+]", r"\\\g<0>", name) + "$"
    return "\\" + name if name.lower() in _MAP_WORDS else name
