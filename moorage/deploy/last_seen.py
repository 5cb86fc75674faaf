"""When users were last here: read from nginx's logs on the servers, rotated ones included."""

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
"""Seconds in which a server says nothing, after which it is left out."""
DEADLINE = 600.0
"""Seconds in which a server has to have read its logs."""

_ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Seen:
    """When a user was last here, as far back as the logs go.

    Attributes:
        last_seen: The last request that was let in, ISO 8601 in UTC, or empty.
        last_push: The last manifest that was stored, likewise.
    """

    last_seen: str = ""
    last_push: str = ""

    def latest(self, other: Seen) -> Seen:
        """Return the later of both times each."""
        # In one zone and one format, later times are greater texts.
        return Seen(
            max(self.last_seen, other.last_seen),
            max(self.last_push, other.last_push),
        )


def read_seen(deployment: Deployment, timeout: float = TIMEOUT) -> dict[str, dict[str, Seen]]:
    """Read when users were last here, from all servers in parallel.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.
        timeout: Seconds in which a server says nothing, after which it is left out.

    Returns:
        By server label and user. Servers that cannot be read are not in it.
    """

    def read(transport: Transport) -> dict[str, Seen]:
        completed = transport.run(
            shell_script("seen.sh"),
            timeout=timeout,
            deadline=DEADLINE,
            cancel=deployment.cancel,
        )
        return parse(completed.stdout)

    found = deployment.on_each(read)
    return {server: users for server, users in found.items() if not isinstance(users, MoorageError)}


def merge_seen(found: Mapping[str, Mapping[str, Seen]]) -> dict[str, Seen]:
    """Return when each user was last here on any server.

    Args:
        found: What :func:`read_seen` returned.
    """
    return _latest(pair for users in found.values() for pair in users.items())


def parse(output: bytes) -> dict[str, Seen]:
    """Turn what ``seen.sh`` writes into times by user.

    Args:
        output: Lines of a name, a time and a time or nothing; a user may be in several.
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
    r"""Return a name that nginx wrote with ``\xNN`` for what is no plain character."""
    plain = _ESCAPED.sub(lambda match: bytes.fromhex(match.group(1).decode()), name)
    return plain.decode("utf-8", "replace")


def _utc(time: bytes) -> str:
    """Return a time with an offset as one in UTC; empty when it is none."""
    try:
        moment = datetime.fromisoformat(time.decode())
    except ValueError:
        return ""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
