"""The users as files: htpasswd and the access map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moorage.answers.model import User

# Words that mean something else at the beginning of a line of an nginx map.
_MAP_WORDS = {"default", "hostnames", "include", "volatile"}


def htpasswd(hashes: Mapping[str, str]) -> bytes:
    """Return the htpasswd file.

    Args:
        hashes: Password hashes by user name, in the file's order.
    """
    return "".join(f"{name}:{value}\n" for name, value in hashes.items()).encode()


def read_htpasswd(content: bytes) -> dict[str, str]:
    """Return the hashes by user name; the first line of a name counts, as it does for nginx."""
    hashes: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        name, separator, rest = line.partition(":")
        if separator and name and not name.startswith("#"):
            hashes.setdefault(name, rest.partition(":")[0])
    return hashes


def access_map(users: Sequence[User]) -> bytes:
    """Return the lines of the nginx map from user name to access."""
    lines = ["# Written by Moorage. What each user may do: push (and pull and delete), or pull."]
    for user in users:
        escaped = "\\" + user.name if user.name.lower() in _MAP_WORDS else user.name
        lines.append(f'"{escaped}" {user.access};')
    return ("\n".join(lines) + "\n").encode()
