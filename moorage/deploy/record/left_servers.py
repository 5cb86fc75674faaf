"""Servers that left a deployment without being uninstalled: the other servers' records keep them.

Their registries keep running. One whose images are in a bucket still writes there, and a collection
that does not hold its pushes could delete layers that these need.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from moorage.answers.model import Answers, Server, Storage
from moorage.answers.recorded import RecordedServer
from moorage.deploy.record.deployment_json import (
    Recorded,
    as_applied,
    deployment_record,
    line_of,
)
from moorage.errors import MoorageError
from moorage.servers.facts import Facts
from moorage.users.on_servers import UserList, read_user_list

_MOST = 200
"""The number of entries that are read from a record."""


@dataclass(frozen=True)
class LeftServer:
    """A server that left.

    Attributes:
        server: Its label, and how to reach it.
        bucket: The bucket with its images; empty if they are in a folder.
        prefix: The prefix of its objects there.
        at: When it left, ISO 8601 in UTC; empty if the apply that takes it out is not done yet.
        by: The operator who took it out; empty likewise.
        key: The private key file for all servers of the answers; None if there is no such file.
    """

    server: RecordedServer
    bucket: str = ""
    prefix: str = ""
    at: str = ""
    by: str = ""
    key: str | None = None

    @property
    def label(self) -> str:
        """Its label."""
        return self.server.host

    @property
    def when(self) -> str:
        """The time and the operator, for display; empty if they are not known."""
        if not self.at:
            return ""
        when = f" on {self.at.replace('T', ' ').removesuffix('Z')} UTC"
        return f"{when}, by {self.by}" if self.by else when

    @property
    def text(self) -> str:
        """Its state, for display."""
        return f"left this deployment{self.when}, and is not known to be uninstalled"

    @property
    def uninstall(self) -> str:
        """The command that uninstalls it."""
        return uninstall_command(self.server, self.key)

    @property
    def advice(self) -> str:
        """The commands after which the records no longer have it."""
        return (
            f"Uninstall it: {self.uninstall}. Then, or if it "
            f"no longer exists: moorage apply FILE --gone {self.label}."
        )


def uninstall_command(server: RecordedServer, key: str | None) -> str:
    """Return the command that uninstalls a server.

    Args:
        server: The server.
        key: The operator's private key file; None for the usual ones.
    """
    words = ["moorage", "uninstall", "--server", server.destination]
    return shlex.join([*words, *(["--key", key] if key is not None else [])])


def recorded_left(facts: Facts) -> tuple[LeftServer, ...]:
    """Return the servers that left, according to a server's record.

    Args:
        facts: The server's facts. Root there can write anything into its record.
    """
    noted = deployment_record(facts).get("left")
    entries = noted[:_MOST] if isinstance(noted, list) else []
    found = (_entry(each) for each in entries if isinstance(each, dict))
    return tuple(each for each in found if each is not None)


def left_by_label(every: Iterable[Facts]) -> dict[str, LeftServer]:
    """Return the servers that left, according to the records of others, by label.

    Args:
        every: The facts of the others.
    """
    return {each.label: each for facts in every for each in recorded_left(facts)}


def _entry(noted: Mapping[str, Any]) -> LeftServer | None:
    try:
        server = Server.model_validate({name: noted.get(name) for name in ("host", "user", "port")})
    except ValueError:
        return None
    words = (line_of(noted.get(name)) for name in ("bucket", "prefix", "at", "by"))
    return LeftServer(RecordedServer(server.host, server.user, server.port), *words)


def _bucket_of(storage: Storage) -> tuple[str, str]:
    """Return the bucket with the images and the prefix there; both empty without a bucket.

    The endpoint does not count, because a store can have several.
    """
    s3 = storage.s3
    if storage.driver != "s3" or s3 is None:
        return "", ""
    return s3.bucket, (s3.rootdirectory or "").strip("/")


def members(every: Iterable[Facts]) -> tuple[Facts, ...]:
    """Return the servers that are part of the deployment, according to the others; else all.

    A server that left still has the other servers in its own record, but is in none of theirs.

    Args:
        every: The facts of the servers.
    """
    servers = tuple(every)
    if len(servers) == 1:
        return servers
    records = [(each, as_applied(each)) for each in servers]
    found = []
    for facts, record in records:
        names = {facts.server, record.label if record is not None else facts.server}
        others = [other for each, other in records if each is not facts and other is not None]
        if not others or any(names & {each.host for each in other.servers} for other in others):
            found.append(facts)
    return tuple(found) or servers


def read_user_lists(every: Iterable[Facts]) -> tuple[UserList, ...]:
    """Return the users on each server.

    Args:
        every: The facts of the servers.
    """
    servers = tuple(every)
    inside = {each.server for each in members(servers)}
    return tuple(
        replace(read_user_list(each, deployment_record(each)), has_left=each.server not in inside)
        for each in servers
    )


def find_left(
    answers: Answers, every: Sequence[Facts], gone: Collection[str] = ()
) -> tuple[LeftServer, ...]:
    """Return the servers that an apply records as left: earlier ones, and those it takes out.

    Args:
        answers: What the operator decided.
        every: The facts of the servers.
        gone: The labels of servers that were uninstalled, or no longer exist.

    Raises:
        MoorageError: A server that is said to be gone has not left.
    """
    here = {server.host for server in answers.servers}
    here |= {each.label for each in map(as_applied, every) if each is not None}
    inside = members(every)
    recorded = [each for each in map(as_applied, inside) if each is not None]
    found = left_by_label(inside)
    for record in recorded:
        bucket = _bucket_of(record.answers.storage)
        for server in record.servers:
            found.setdefault(server.host, LeftServer(server, *bucket))
    left = {label: each for label, each in found.items() if label not in here}
    if unknown := sorted(set(gone) - left.keys()):
        names = ", ".join(sorted(left)) or "none"
        raise MoorageError(
            f"{', '.join(unknown)} has not left this deployment (left: {names}).",
            advice="Take it out of the answers first, or use the label that it had there.",
            code="not_left",
        )
    key = _shared_key(answers)
    return tuple(replace(each, key=key) for label, each in left.items() if label not in gone)


def remembered_left(answers: Answers, every: Iterable[Facts]) -> tuple[LeftServer, ...]:
    """Return the servers that left earlier and were not uninstalled, according to the records.

    Args:
        answers: What the operator decided.
        every: The facts of the servers.
    """
    inside = members(every)
    here = {server.host for server in answers.servers}
    here |= {each.label for each in map(as_applied, inside) if each is not None}
    key, left = _shared_key(answers), left_by_label(inside)
    return tuple(replace(each, key=key) for label, each in left.items() if label not in here)


def _shared_key(answers: Answers) -> str | None:
    keys = {each.key for each in answers.servers}
    return keys.pop() if len(keys) == 1 else None


def left_record(left: Iterable[LeftServer], at: str, by: str) -> list[dict[str, object]]:
    """Return the servers that left as in a record.

    Args:
        left: The servers.
        at: When those left that leave now.
        by: The operator of this apply.
    """
    return [
        {
            "host": each.label,
            **({"user": each.server.user} if each.server.user else {}),
            **({"port": each.server.port} if each.server.port else {}),
            "bucket": each.bucket,
            "prefix": each.prefix,
            "at": each.at or at,
            "by": each.by if each.at else by,
        }
        for each in left
    ]


def why_record(
    answers: Answers, facts: Facts, left: Iterable[LeftServer], *, joins: bool = False
) -> str:
    """Return why a server's record has to change although nothing else does; empty if it need not.

    Args:
        answers: What the operator decided.
        facts: The server's facts.
        left: The servers that the apply records as left.
        joins: Whether the server is not part of the deployment, according to the others.
    """
    record = as_applied(facts)
    if record is None:
        return ""
    before = {each.label for each in recorded_left(facts)}
    after = {each.label for each in left}
    hosts = {each.host for each in record.servers}
    joined = {each.host for each in answers.servers} - hosts
    joined |= {facts.server} if joins else set()
    parts = (
        _names(after - before, "left"),
        _names(before - after - {each.host for each in answers.servers}, "gone"),
        _names(joined, "joined"),
    )
    return ", ".join(filter(None, parts))


def _names(labels: Iterable[str], verb: str) -> str:
    names = ", ".join(sorted(labels))
    return f"{names} {verb}" if names else ""


def check_none_left(record: Recorded, facts: Facts, reached: Collection[str]) -> None:
    """Check that no server that left can still write to a server's bucket.

    Args:
        record: The server's record.
        facts: Its facts.
        reached: The labels of the servers that take part.

    Raises:
        MoorageError: One can.
    """
    here = _bucket_of(record.answers.storage)
    for each in recorded_left(facts):
        if each.label in reached or (each.bucket, each.prefix) != here:
            continue
        raise MoorageError(
            f"{each.label} left this deployment{each.when}, and still writes to the same bucket: "
            "nothing is deleted there while it is not known what its clients push.",
            advice=each.advice,
            server=facts.server,
            code="images_server_left",
        )
