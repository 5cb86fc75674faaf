"""The users of a deployment, and its servers, as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from moorage.deploy.users.change import UsersRead
from moorage.deploy.users.last_seen import Seen
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError
from moorage.rows import Level, Row
from moorage.users import describe
from moorage.users.on_servers import UserList, UsersStatus
from moorage.users.passwords import hash_kind

_STATUSES = {
    UsersStatus.UP_TO_DATE: (Level.GOOD, "up to date"),
    UsersStatus.OUTDATED: (
        Level.WARNING,
        "outdated: missed a change; the next change fixes it",
    ),
    UsersStatus.MODIFIED: (
        Level.WARNING,
        "modified: edited by hand; the next change overwrites it",
    ),
    UsersStatus.CHANGING: (
        Level.PENDING,
        "run {run} is in progress; read the users again when it has ended",
    ),
}


def server_rows(
    read: UsersRead, explain: Callable[[MoorageError], str] = MoorageError.explain
) -> list[Row]:
    """Return the status of each server's users; the key is a :class:`UsersStatus`.

    Args:
        read: The users that were read.
        explain: Returns an error as text, in the words of the interface.
    """
    rows = [
        _server_row(user_list, read.statuses[user_list.server]) for user_list in read.user_lists
    ]
    return [*rows, *(_unreachable_row(error, read, explain) for error in read.unreached)]


def _server_row(user_list: UserList, status: UsersStatus) -> Row:
    level, text = _STATUSES[status]
    text = text.format(run=user_list.run)
    if user_list.has_drifted and status is not UsersStatus.MODIFIED:
        text += "; its files were edited by hand"
    return Row(status, user_list.server, text, level)


def _unreachable_row(
    error: MoorageError, read: UsersRead, explain: Callable[[MoorageError], str]
) -> Row:
    outdated = ", outdated" if error.server in read.latest.missed else ""
    text = f"unreachable{outdated}: {explain(error)}"
    return Row(UsersStatus.UNREACHABLE, error.server or "", text, Level.BAD)


@dataclass(frozen=True)
class UserRow:
    """A user as a row of a table.

    Attributes:
        user: The user.
        servers: The reached servers that have the user, by label.
        total: The number of servers.
        seen: The last login and push; None when not read.
        counts: Whether the user is in the latest list, not only on an outdated server.
    """

    user: RegistryUser
    servers: tuple[str, ...] = ()
    total: int = 0
    seen: Seen | None = None
    counts: bool = True

    @property
    def access(self) -> str:
        """The user's access."""
        return self.user.access or "none"

    @property
    def repositories(self) -> str:
        """The repositories the access is limited to."""
        return describe.repositories(self.user)

    @property
    def hash(self) -> str:
        """The kind of the password's hash."""
        return hash_kind(self.user.hash)

    @property
    def state(self) -> str:
        """Why the user has no access; empty otherwise."""
        if self.user.disabled:
            return "disabled"
        return "" if self.user.access else "no access"

    @property
    def where(self) -> str:
        """The servers that have the user."""
        is_everywhere = bool(self.servers) and len(self.servers) == self.total
        return "all" if is_everywhere else ", ".join(self.servers)


def user_rows(
    read: UsersRead | None, users: Sequence[RegistryUser], seen: Mapping[str, Seen] | None = None
) -> list[UserRow]:
    """Return users as rows.

    Args:
        read: The users that were read; None before.
        users: The users to show.
        seen: The users' last logins and pushes; None when not read.
    """
    where = read.places if read is not None else {}
    total = len(read.user_lists) + len(read.unreached) if read is not None else 0
    counting = {user.name for user in read.users} if read is not None else set()
    return [
        UserRow(
            user,
            where.get(user.name, ()),
            total,
            None if seen is None else seen.get(user.name, Seen()),
            user.name in counting,
        )
        for user in users
    ]


def only_elsewhere(read: UsersRead) -> list[RegistryUser]:
    """Return the users that are only on servers that differ from the latest list."""
    known = {user.name for user in read.users}
    found: dict[str, RegistryUser] = {}
    for user_list in read.user_lists:
        for user in user_list.users:
            if user.name not in known:
                found.setdefault(user.name, user)
    return list(found.values())
