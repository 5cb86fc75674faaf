"""The users on each server, and which server has the latest ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from moorage.desired import layout
from moorage.desired.users import RegistryUser, read_users
from moorage.servers.facts import Facts

USER_FILES = (layout.HTPASSWD, layout.HTPASSWD_DISABLED, layout.ACCESS_MAP)
"""The files that contain the users."""


class UsersStatus(StrEnum):
    """A server's users, compared with the latest ones.

    outdated: it missed a change, and the next one fixes it. modified: its files were edited by
    hand. changing: a run is in progress there, so its users can be those of half a change.
    """

    UP_TO_DATE = "up_to_date"
    OUTDATED = "outdated"
    MODIFIED = "modified"
    CHANGING = "changing"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class UserList:
    """The users on one server.

    Attributes:
        server: The server's label.
        users: Its users, disabled ones last.
        revision: The number of changes to its users; 0 if none is recorded.
        declared: The names in the answers that were last applied.
        missed: The labels of the servers that missed the last change.
        is_deployed: Whether Moorage has deployed a registry on the server.
        has_drifted: Whether its files differ from what Moorage last wrote; always false during a
            run, which writes them.
        run: The ID of the run in progress there; empty if there is none.
        has_left: Whether the server is not part of the deployment, according to the others.
    """

    server: str
    users: tuple[RegistryUser, ...]
    revision: int = 0
    declared: frozenset[str] = frozenset()
    missed: frozenset[str] = frozenset()
    is_deployed: bool = True
    has_drifted: bool = False
    run: str = ""
    has_left: bool = False

    def is_same_as(self, other: UserList) -> bool:
        """Return whether both servers have the same users with the same access."""
        return frozenset(self.users) == frozenset(other.users)


def read_user_list(facts: Facts, record: Mapping[str, object]) -> UserList:
    """Return the users on a server.

    Args:
        facts: What the probe read.
        record: Its deployment.json; empty if there is none.
    """
    files = {path: facts.files[path].content for path in USER_FILES if path in facts.files}
    noted = record.get("users")
    noted = noted if isinstance(noted, dict) else {}
    digests = record.get("digests")
    digests = digests if isinstance(digests, dict) else {}
    revision = noted.get("revision")
    run = facts.active_run
    return UserList(
        server=facts.server,
        users=read_users(files),
        revision=max(0, revision) if type(revision) is int else 0,
        declared=_names(noted.get("declared")),
        missed=_names(noted.get("missed")),
        is_deployed=bool(record),
        has_drifted=run is None
        and any(
            digests.get(path) != (facts.files[path].digest if path in facts.files else None)
            for path in USER_FILES
        ),
        run=run.run_id if run is not None else "",
    )


def _names(noted: object) -> frozenset[str]:
    return frozenset(map(str, noted)) if isinstance(noted, list) else frozenset()


def latest_users(user_lists: Sequence[UserList]) -> UserList | None:
    """Return the list with the latest change; None if no server has a deployment or users.

    A server that has left does not count beside the others, however often its users were changed.
    If several have the latest change, prefer one that was not edited by hand since.
    """
    deployed = [each for each in user_lists if each.is_deployed or each.users]
    return max(
        deployed, key=lambda each: (
            each.is_deployed, not each.has_left, each.revision, not (each.has_drifted or each.run)
        ),
        default=None,
    )  # fmt: skip


def statuses(user_lists: Sequence[UserList]) -> dict[str, UsersStatus]:
    """Return the status of each server's users, by server."""
    newest = latest_users(user_lists)
    found: dict[str, UsersStatus] = {}
    for each in user_lists:
        if each.run:
            found[each.server] = UsersStatus.CHANGING
        elif newest is None or each.is_same_as(newest):
            found[each.server] = UsersStatus.UP_TO_DATE
        elif each.has_left or each.revision < newest.revision:
            found[each.server] = UsersStatus.OUTDATED
        else:
            found[each.server] = UsersStatus.MODIFIED
    return found
