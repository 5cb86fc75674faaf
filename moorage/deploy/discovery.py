"""A deployment that is found on servers the operator named, without an answers file.

Nothing connects to a server for being named in a record: the faces ask first, or say what to add.
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
from moorage.deploy.deployment_json import UNKNOWN_NAME, Recorded, deployed_at, recorded_on
from moorage.deploy.revisions import latest
from moorage.errors import MoorageError, ServersFailed, ServersNotNamed
from moorage.servers.facts import Facts
from moorage.servers.transport import Asker, Transport


def answers_for(servers: Sequence[Server], domain: str = UNKNOWN_NAME) -> Answers:
    """Return answers that name servers and decide nothing, to look at them with.

    Args:
        servers: The servers.
        domain: The registry's name, where it is known.
    """
    nobody = User(name="nobody", password=Generated(generate=True))
    answers = Answers(
        registry=Registry(domain=domain),
        servers=servers[:1],
        credentials=Credentials(users=(nobody,)),
    )
    # Where images are kept is not known, so that several servers are no contradiction.
    return answers.model_copy(update={"servers": tuple(servers)})


@dataclass(frozen=True)
class Adopted:
    """Recorded answers on their way to an answers file.

    Attributes:
        values: The answers as a file has them; secrets are to be asked for.
        unconfirmed: What is missing because only the operator may say it, as it was recorded.
    """

    values: Mapping[str, Any]
    unconfirmed: Mapping[Path, Any]


@dataclass(frozen=True)
class FoundDeployment:
    """What servers say of the deployment they belong to.

    Attributes:
        named: The servers that the operator named.
        records: What those say that were reached.
        others: The servers that the records name besides.
        revision: What the deployment has seen, which adopted answers are based on.
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
        """Which other servers are recorded, as a sentence."""
        names = ", ".join(each.destination for each in self.others)
        by = ", ".join(each.server for each in self.records)
        kind = "another server" if len(self.others) == 1 else "other servers"
        return f"{by} names {kind} of {self.domain}: {names}."

    def not_named(self) -> ServersNotNamed:
        """Return the error for where nobody can be asked about the other servers."""
        options = " ".join(f"--server {each.destination}" for each in self.others)
        return ServersNotNamed(
            self.others_in_words,
            advice=f"Add {options}, or use the answers file.",
            servers=[each.destination for each in self.others],
        )

    def left_out(self, agreed: Sequence[RecordedServer]) -> tuple[MoorageError, ...]:
        """Return an error for each other server that is not to be connected to.

        Args:
            agreed: The other servers that the operator agreed to connect to.
        """
        return tuple(
            MoorageError(
                "not connected to, because nobody named it.",
                advice=f"--server {each.destination} does.",
                server=each.host,
                code="server_not_named",
            )
            for each in self.others
            if each not in agreed
        )

    def servers(self, agreed: Sequence[RecordedServer] = ()) -> tuple[Server, ...]:
        """Return the servers to work on, in the order of the records.

        Args:
            agreed: The other servers that the operator agreed to connect to.
        """
        labels = {each.label: each.server for each in self.records}
        named = {each.host: each for each in self.named}
        # The way in is the one the operator knows.
        key = self.named[0].key
        found: dict[str, Server] = {}
        for each in self._recorded():
            host = labels.get(each.host, each.host)
            server = named.get(host) or (each.as_server(key) if each in agreed else None)
            if server is not None:
                found[host] = server.model_copy(update={"runtime": each.runtime})
        return tuple((found | {host: each for host, each in named.items() if host not in found}
                      ).values())  # fmt: skip

    def answers(self, agreed: Sequence[RecordedServer] = ()) -> Answers:
        """Return answers to look at these servers with, and to change their users."""
        return answers_for(self.servers(agreed), self.domain)

    def adopted(self, agreed: Sequence[RecordedServer] = ()) -> Adopted:
        """Return what becomes of the recorded answers when the operator takes them over."""
        said = self.records[0].said
        values, unconfirmed = as_values(said), dict(said.unconfirmed)
        servers = self.servers(agreed)
        values["based_on"] = self.revision
        values["servers"] = [
            each.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
            for each in servers
        ]
        labels = {each.label: each.server for each in self.records}
        addresses = {labels.get(each.host, each.host): each.address for each in said.servers}
        for place, server in enumerate(servers):
            if address := addresses.get(server.host):
                unconfirmed["servers", place, "address"] = address
        return Adopted(values, unconfirmed)

    def _recorded(self) -> Iterable[RecordedServer]:
        return {each.host: each for said in self.records for each in said.servers}.values()


@dataclass(frozen=True)
class ReadDeployment:
    """A deployment that was read from servers.

    Attributes:
        found: What they say of it.
        applied_at: When it was last applied, seconds since 1970; None where they do not say.
    """

    found: FoundDeployment
    applied_at: float | None = None


def read_deployment(
    servers: Sequence[Server], asker: Asker, open_transport: Callable[..., Transport] | None = None
) -> ReadDeployment:
    """Read what is deployed from servers alone. Blocks.

    Args:
        servers: The servers that the operator named; no other is connected to.
        asker: Who is asked for host keys and secrets.
        open_transport: Opens a connection; None goes over SSH.

    Raises:
        MoorageError: None can be reached, or Moorage was never on one of them.
    """
    with Deployment(answers_for(servers), asker, open_transport=open_transport) as deployment:
        read = deployment.probe_each()
    found = find_deployment(servers, read)
    return ReadDeployment(found, deployed_at(each for each in read if isinstance(each, Facts)))


def find_deployment(
    named: Sequence[Server], read: Sequence[Facts | MoorageError]
) -> FoundDeployment:
    """Return the deployment that servers say they belong to.

    Args:
        named: The servers that the operator named.
        read: What :meth:`.deployment.Deployment.probe_each` returned for them.

    Raises:
        ServersFailed: None of them was reached.
        MoorageError: Nothing is deployed on one that was, or its record cannot be read; or another
            server is the machine that Moorage ran on then.
    """
    facts = [each for each in read if isinstance(each, Facts)]
    if not facts:
        raise ServersFailed([each for each in read if isinstance(each, MoorageError)])
    records = tuple(recorded_on(each) for each in facts)
    others = _others(named, records)
    for each in others:
        if each.is_local:
            raise MoorageError(
                f"{each.host} is recorded as the machine that Moorage ran on, and this may be "
                "another one.",
                advice="Name it as it is reached from here, or use the answers file.",
                code="recorded_as_local",
            )
    return FoundDeployment(tuple(named), records, others, latest(facts).number)


def other_servers(named: Sequence[Server], facts: Sequence[Facts]) -> tuple[RecordedServer, ...]:
    """Return the servers that records name besides those that are known.

    Args:
        named: The servers that are known.
        facts: What the probe read; a server without a usable record names none.
    """
    records = []
    for each in facts:
        with contextlib.suppress(MoorageError):
            records.append(recorded_on(each))
    return _others(named, records)


def _others(named: Sequence[Server], records: Sequence[Recorded]) -> tuple[RecordedServer, ...]:
    known = {each.host for each in named} | {each.label for each in records}
    found = {each.host: each for said in records for each in said.servers}
    return tuple(each for host, each in found.items() if host not in known)
