"""Last login and push of each user, on any server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from moorage.deploy.deployment import Deployment
from moorage.deploy.images.activity import Activity, read_activity


@dataclass(frozen=True)
class Seen:
    """A user's last login and push, as far as they are known.

    Attributes:
        last_seen: The last authenticated request, ISO 8601 in UTC, or empty.
        last_push: The last manifest upload, likewise.
    """

    last_seen: str = ""
    last_push: str = ""


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
    """Read when each user was last here, on any server. Blocks."""
    return last_seen(read_activity(deployment))


def last_seen(activity: Activity) -> SeenRead:
    """Return when each user was last here, on any server.

    Args:
        activity: The deployment's activity.
    """
    times = {name: Seen(utc(seen), utc(push)) for name, (seen, push) in activity.users.items()}
    unread = (error.server or "" for error in activity.left_out)
    return SeenRead(times, (*unread, *activity.skipped))


def utc(at: int) -> str:
    """Return a time in seconds since 1970 as ISO 8601 in UTC; empty for 0 and impossible times."""
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
