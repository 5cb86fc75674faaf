"""Last login and push of each user, from nginx's logs on the servers, including rotated ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from moorage.deploy.deployment import Deployment
from moorage.errors import MoorageError
from moorage.servers.transport import Transport
from templates.load import shell_script

TIMEOUT = 60.0
"""Seconds without output after which a server is skipped."""
DEADLINE = 600.0
"""Seconds a server can take to read its logs."""

_ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Seen:
    """A user's last login and push, as far back as the logs go.

    Attributes:
        last_seen: The last authenticated request, ISO 8601 in UTC, or empty.
        last_push: The last manifest upload, likewise.
    """

    last_seen: str = ""
    last_push: str = ""

    def latest(self, other: Seen) -> Seen:
        """Return the later of each of the two times."""
        # ISO 8601 times in UTC sort as text.
        return Seen(
            max(self.last_seen, other.last_seen),
            max(self.last_push, other.last_push),
        )


@dataclass(frozen=True)
class SeenRead:
    """Last logins and pushes of users.

    Attributes:
        times: By user.
        left_out: The servers whose logs could not be read.
    """

    times: Mapping[str, Seen]
    left_out: tuple[str, ...]


def read_last_seen(deployment: Deployment) -> SeenRead:
    """Read when each user was last here, on any server, as far back as the logs go. Blocks."""
    found = read_seen(deployment)
    servers = (server.host for server in deployment.answers.servers)
    return SeenRead(merge_seen(found), tuple(each for each in servers if each not in found))


def read_seen(deployment: Deployment, timeout: float = TIMEOUT) -> dict[str, dict[str, Seen]]:
    """Read each user's last login and push from all servers in parallel.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.
        timeout: Seconds without output after which a server is skipped.

    Returns:
        By server label and user, without the servers that could not be read.
    """

    def read(transport: Transport) -> dict[str, Seen]:
        completed = transport.run(
            shell_script("last_seen.sh"),
            timeout=timeout,
            deadline=DEADLINE,
            cancel=deployment.cancel,
        )
        return parse(completed.stdout)

    found = deployment.on_each(read)
    return {server: users for server, users in found.items() if not isinstance(users, MoorageError)}


def merge_seen(found: Mapping[str, Mapping[str, Seen]]) -> dict[str, Seen]:
    """Return each user's last login and push on any server.

    Args:
        found: The result of :func:`read_seen`.
    """
    return _latest(pair for users in found.values() for pair in users.items())


def parse(output: bytes) -> dict[str, Seen]:
    """Parse the output of ``last_seen.sh`` into times by user.

    Args:
        output: Tab-separated lines of a name, a time, and a time or nothing; a user can be in
            several.
    """
    rows = (line.split(b"\t") for line in output.splitlines())
    return _latest(
        (_unescaped(row[0]), Seen(_utc(row[1]), _utc(row[2]))) for row in rows if len(row) == 3
    )


def _latest(pairs: Iterable[tuple[str, Seen]]) -> dict[str, Seen]:
    users: dict[str, Seen] = {}
    for user, seen in pairs:
        users[user] = seen.latest(users.get(user, Seen()))
    return users


def _unescaped(name: bytes) -> str:
    r"""Return a name in which nginx escaped special characters as ``\xNN``."""
    plain = _ESCAPED.sub(lambda match: bytes.fromhex(match.group(1).decode()), name)
    return plain.decode("utf-8", "replace")


def _utc(time: bytes) -> str:
    """Convert a time with an offset to UTC; empty when it is not a valid time."""
    try:
        moment = datetime.fromisoformat(time.decode())
    except ValueError:
        return ""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
