"""Find a deployment on servers that the operator named, without an answers file.

Servers that are only named in a record are not connected to: the interfaces ask the operator first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.answers.model import Answers, Credentials, Registry, Server, User
from moorage.answers.recorded import Path, RecordedServer, as_values
from moorage.answers.secrets import Generated
from moorage.deploy.deployment import Deployment
from moorage.deploy.record.deployment_json import UNKNOWN_NAME, Recorded, deployed_at, recorded_on
from moorage.deploy.record.revisions import latest
from moorage.errors import MoorageError, ServersFailed, ServersNotNamed
from moorage.servers.facts import Facts
from moorage.servers.transport import Asker, Transport


def answers_for(servers: Sequence[Server], domain: str = UNKNOWN_NAME) -> Answers:
    """Return minimal answers for reading servers.

    Args:
        servers: The servers.
        domain: The registry's name, where it is known.
    """
    placeholder = User(name="nobody", password=Generated(generate=True))
    answers = Answers(
        registry=Registry(domain=domain),
        servers=servers[:1],
        credentials=Credentials(users=(placeholder,)),
    )
    # Set afterwards: several servers are invalid with the default storage, which is unknown here.
    return answers.model_copy(update={"servers": tuple(servers)})


@dataclass(frozen=True)
class Adopted:
    """Recorded answers, ready to become an answers file.

    Attributes:
        values: The answers as in a file; secrets are prompts.
        unconfirmed: Recorded values left out because only the operator can set them.
    """

    values: Mapping[str, Any]
    unconfirmed: Mapping[Path, Any]


@dataclass(frozen=True)
class FoundDeployment:
    """A deployment as its servers recorded it.

    Attributes:
        named: The servers that the operator named.
        records: The records of those that were reached.
        others: Further servers named in the records.
        revision: The deployment's revision, which adopted answers are based on.
    """

    named: tuple[Server, ...]
    records: tuple[Recorded, ...]
    others: tuple[RecordedServer, ...]
    revision: int

    @property
    def domain(self) -> str:
        """The registry's name."""
        return self.records[0].answers.registry.domain

    @property
    def others_in_words(self) -> str:
        """A sentence that lists the other recorded servers."""
        names = ", ".join(each.destination for each in self.others)
        by = ", ".join(each.server for each in self.records)
        kind = "another server" if len(self.others) == 1 else "other servers"
        return f"The record on {by} names {kind} of {self.domain}: {names}."

    def not_named(self) -> ServersNotNamed:
        """Return the error for the other servers when the operator cannot be asked."""
        options = " ".join(f"--server {each.destination}" for each in self.others)
        return ServersNotNamed(
            self.others_in_words,
            advice=f"Add {options}, or use the answers file.",
            servers=[each.destination for each in self.others],
        )

    def left_out(self, agreed: Sequence[RecordedServer]) -> tuple[MoorageError, ...]:
        """Return an error for each other server that must not be connected to.

        Args:
            agreed: The other servers that the operator agreed to connect to.
        """
        return tuple(
            MoorageError(
                "not connected to, because you did not name it.",
                advice=f"Add --server {each.destination}.",
                server=each.host,
                code="server_not_named",
            )
            for each in self.others
            if each not in agreed
        )

    def servers(self, agreed: Sequence[RecordedServer] = ()) -> tuple[Server, ...]:
        """Return the servers to use, in the order of the records.

        Args:
            agreed: The other servers that the operator agreed to connect to.
        """
        labels = {each.label: each.server for each in self.records}
        named = {each.host: each for each in self.named}
        # Log in the way the operator specified.
        key = self.named[0].key
        found: dict[str, Server] = {}
        for each in self._recorded():
            host = labels.get(each.host, each.host)
            server = named.get(host) or (each.as_server(key) if each in agreed else None)
            if server is not None:
                found[host] = server.model_copy(
                    update={"runtime": each.runtime, "image": each.image}
                )
        return tuple((found | {host: each for host, each in named.items() if host not in found}
                      ).values())  # fmt: skip

    def answers(self, agreed: Sequence[RecordedServer] = ()) -> Answers:
        """Return answers for reading these servers and changing their users."""
        return answers_for(self.servers(agreed), self.domain)

    def adopted(self, agreed: Sequence[RecordedServer] = ()) -> Adopted:
        """Return the recorded answers, ready to become an answers file."""
        recorded = self.records[0].recorded
        values, unconfirmed = as_values(recorded), dict(recorded.unconfirmed)
        servers = self.servers(agreed)
        values["based_on"] = self.revision
        values["servers"] = [
            each.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
            for each in servers
        ]
        labels = {each.label: each.server for each in self.records}
        addresses = {labels.get(each.host, each.host): each.address for each in recorded.servers}
        for place, server in enumerate(servers):
            if address := addresses.get(server.host):
                unconfirmed["servers", place, "address"] = address
        return Adopted(values, unconfirmed)

    def _recorded(self) -> Iterable[RecordedServer]:
        return {each.host: each for record in self.records for each in record.servers}.values()


@dataclass(frozen=True)
class ReadDeployment:
    """A deployment that was read from servers.

    Attributes:
        found: The deployment.
        applied_at: When it was last applied, seconds since 1970; None if unknown.
    """

    found: FoundDeployment
    applied_at: float | None = None


def read_deployment(
    servers: Sequence[Server], asker: Asker, open_transport: Callable[..., Transport] | None = None
) -> ReadDeployment:
    """Read a deployment from its servers alone. Blocks.

    Args:
        servers: The servers that the operator named; no others are connected to.
        asker: Asks for host keys and secrets.
        open_transport: Opens a connection; over SSH by default.

    Raises:
        MoorageError: None can be reached, or Moorage never deployed to one of them.
    """
    with Deployment(answers_for(servers), asker, open_transport=open_transport) as deployment:
        read = deployment.probe_each()
    found = find_deployment(servers, read)
    return ReadDeployment(found, deployed_at(each for each in read if isinstance(each, Facts)))


def find_deployment(
    named: Sequence[Server], read: Sequence[Facts | MoorageError]
) -> FoundDeployment:
    """Return the deployment that servers belong to.

    Args:
        named: The servers that the operator named.
        read: The result of :meth:`.deployment.Deployment.probe_each` for them.

    Raises:
        ServersFailed: None of them was reached.
        MoorageError: One of them has no deployment or no readable record; or another server is
            recorded as the machine that Moorage ran on.
    """
    facts = [each for each in read if isinstance(each, Facts)]
    if not facts:
        raise ServersFailed([each for each in read if isinstance(each, MoorageError)])
    records = tuple(recorded_on(each) for each in facts)
    others = _others(named, records)
    for each in others:
        if each.is_local:
            raise MoorageError(
                f"{each.host} is recorded as the machine that Moorage ran on, which is not "
                "necessarily this one.",
                advice="Add it with the address it has from here, or use the answers file.",
                code="recorded_as_local",
            )
    return FoundDeployment(tuple(named), records, others, latest(facts).number)


def other_servers(named: Sequence[Server], facts: Sequence[Facts]) -> tuple[RecordedServer, ...]:
    """Return the servers that records name besides the known ones.

    Args:
        named: The known servers.
        facts: The servers' facts; one without a usable record names none.
    """
    records = []
    for each in facts:
        with contextlib.suppress(MoorageError):
            records.append(recorded_on(each))
    return _others(named, records)


def _others(named: Sequence[Server], records: Sequence[Recorded]) -> tuple[RecordedServer, ...]:
    known = {each.host for each in named} | {each.label for each in records}
    found = {each.host: each for record in records for each in record.servers}
    return tuple(each for host, each in found.items() if host not in known)
