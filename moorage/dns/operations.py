"""The work on the registry's name: plan, apply, undo, check. What the faces call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moorage.answers.model import Answers
from moorage.dns import journal
from moorage.dns.desired_records import wanted_records
from moorage.dns.local_resolver import addresses_here
from moorage.dns.lookup import (
    Cancelled,
    DnsError,
    NameServer,
    Said,
    ask_all,
    find_servers,
    is_said,
    wait_until_served,
)
from moorage.dns.providers import Resolve, open_provider
from moorage.dns.records import Provider, RecordChange, RecordSet, in_order, plan_changes
from moorage.errors import MoorageError

SERVED_WITHIN = 60.0
"""Seconds until changed records have to be on all name servers of the zone."""


@dataclass(frozen=True)
class DnsPlan:
    """What an apply would change at the registry's name.

    Attributes:
        name: The name.
        provider: Who holds the zone.
        wanted: The records that are wanted.
        current: The records that are there.
        changes: From one to the other.
        is_undo: Whether this takes an earlier change back.
    """

    name: str
    provider: Provider = field(repr=False)
    wanted: tuple[RecordSet, ...]
    current: tuple[RecordSet, ...]
    changes: tuple[RecordChange, ...]
    is_undo: bool = False

    @property
    def can_write(self) -> bool:
        """Whether Moorage can make the changes; otherwise they are the operator's to make."""
        return self.provider.can_write

    @property
    def has_changes(self) -> bool:
        """Whether there is anything for Moorage to do."""
        return self.can_write and bool(self.changes)

    @property
    def foreign(self) -> tuple[RecordSet, ...]:
        """Records that are there, are not this deployment's, and would go."""
        return tuple(
            change.before for change in self.changes if change.is_foreign and change.before
        )

    @property
    def summary(self) -> str:
        """The plan in plain words."""
        if not self.changes:
            return f"{self.name}: nothing to change"
        count = len(self.changes)
        sets = f"{count} record set" + ("s" if count > 1 else "")
        return f"{self.name}: {sets} to {'change' if self.can_write else 'make by hand'}"


@dataclass(frozen=True)
class DnsReport:
    """How a change of the registry's name ended.

    Attributes:
        name: The name.
        changes: What was changed; empty when everything was there already.
        said: What each of the zone's name servers says now.
        missing: The name servers that do not say what is wanted.
        note: What the operator should know, or empty.
    """

    name: str
    changes: tuple[RecordChange, ...]
    said: tuple[Said, ...]
    missing: tuple[Said, ...]
    note: str = ""

    @property
    def is_served(self) -> bool:
        """Whether all name servers of the zone say what is wanted."""
        return bool(self.said) and not self.missing


@dataclass(frozen=True)
class DnsCheck:
    """What a name leads to, as its zone's own name servers and this machine see it.

    Attributes:
        name: The name.
        zone: The zone it is in; empty when none was found.
        wanted: The records that are wanted.
        said: What each name server says.
        here: The addresses this machine finds.
        fault: Why the zone's name servers could not be asked, or empty.
    """

    name: str
    zone: str
    wanted: tuple[RecordSet, ...]
    said: tuple[Said, ...]
    here: tuple[str, ...]
    fault: str = ""
    may_be_fewer: bool = False

    @property
    def is_good(self) -> bool:
        """Whether every name server says what is wanted."""
        return bool(self.said) and all(self.is_right(each) for each in self.said)

    def is_right(self, said: Said) -> bool:
        """Whether a name server says what is wanted; with failover some of it is enough."""
        if is_said(said, self.wanted):
            return True
        everything = {value for each in self.wanted for value in each.values}
        return self.may_be_fewer and bool(said.values) and said.values <= everything


def plan_dns(answers: Answers, addresses: Mapping[str, str], resolve: Resolve) -> DnsPlan:
    """Return what has to change for the registry's name to lead to its servers.

    Args:
        answers: What the operator decided.
        addresses: Where clients reach each server, by label.
        resolve: Finds secrets.

    Raises:
        MoorageError: The provider does not answer, refuses, or has no such zone.
    """
    provider = open_provider(answers, resolve)
    name = answers.registry.domain
    wanted = wanted_records(answers, addresses)
    current = provider.read(name)
    if not provider.can_write:
        # Others' records may be cached for as long as they like; only what they lead to counts.
        current = tuple(_with_ttl_of(each, wanted) for each in current)
    changes = plan_changes(
        current,
        wanted,
        known=journal.known_values(name),
        may_be_fewer=answers.dns.failover is not None,
    )
    return DnsPlan(name, provider, wanted, current, changes)


def apply_dns(
    answers: Answers,
    plan: DnsPlan,
    *,
    replace: bool = False,
    wait: float = SERVED_WITHIN,
    cancelled: Cancelled = lambda: False,
) -> DnsReport:
    """Make the changes of a plan, remember what was there, and wait until they are served.

    Args:
        answers: What the operator decided.
        plan: What :func:`plan_dns` or :func:`plan_undo` returned.
        replace: Whether records that are not this deployment's may be replaced.
        wait: Seconds for all name servers of the zone to serve it.
        cancelled: Ends the waiting.

    Raises:
        DnsError: Records of somebody else's are in the way, or the provider refuses.
    """
    if plan.changes:
        if plan.foreign and not replace:
            raise in_the_way(plan)
        plan.provider.write(plan.changes)
        if plan.is_undo:
            journal.forget_last(plan.name)
        else:
            journal.remember(plan.name, "apply", plan.provider.title, plan.changes)
    changed = {_kind(change): change.after for change in plan.changes}
    now = {each.kind: each for each in plan.current} | changed
    wanted = [each for each in now.values() if each is not None]
    try:
        servers = zone_servers(answers)
    except MoorageError as error:
        note = f"Whether the zone's name servers serve it could not be seen: {error.message}"
        return DnsReport(plan.name, plan.changes, (), (), note)
    said = wait_until_served(servers, plan.name, wanted, seconds=wait, cancelled=cancelled)
    missing = tuple(each for each in said if not is_said(each, wanted))
    return DnsReport(plan.name, plan.changes, said, missing)


def check_can_undo(answers: Answers) -> None:
    """Make sure that there is a change to take back.

    Raises:
        DnsError: None was made from this machine.
    """
    name = answers.registry.domain
    if not journal.entries(name):
        raise DnsError(
            f"no change of {name} was made from this machine, so there is none to undo.",
            hint="Changes are kept where they were made, in Moorage's state folder.",
            code="nothing_to_undo",
        )


def plan_undo(answers: Answers, addresses: Mapping[str, str], resolve: Resolve) -> DnsPlan:
    """Return the plan that takes back the last change made to the name from this machine.

    Raises:
        DnsError: There is none.
        MoorageError: The provider does not answer, refuses, or has no such zone.
    """
    check_can_undo(answers)
    name = answers.registry.domain
    made = journal.entries(name)
    provider = open_provider(answers, resolve)
    if not provider.can_write:
        provider.write(())
    current = provider.read(name)
    there = {each.kind: each for each in current}
    ours = journal.known_values(name) | {
        each for address in addresses.values() for each in addresses_here(address)
    }
    changes = []
    for change in made[-1].changes:
        now = there.get(_kind(change))
        if now is None and change.before is None:
            continue
        if now is not None and now.says(change.before):
            continue
        is_foreign = now is not None and not set(now.values) <= ours
        changes.append(RecordChange(now, change.before, is_foreign))
    wanted = {_kind(change): change.after for change in changes}
    then = {each.kind: each for each in current} | wanted
    return DnsPlan(
        name,
        provider,
        tuple(each for each in then.values() if each is not None),
        current,
        in_order(changes),
        is_undo=True,
    )


def check_dns(answers: Answers, addresses: Mapping[str, str]) -> DnsCheck:
    """Ask the zone's own name servers and this machine what the name leads to. Needs no secret.

    Raises:
        DnsError: A server's name has no address.
    """
    name = answers.registry.domain
    wanted = wanted_records(answers, addresses)
    is_fewer = answers.dns.failover is not None
    here = addresses_here(name)
    try:
        zone, servers = find_servers(name, nameservers_of(answers))
    except MoorageError as error:
        fault = f"{error.message} {error.hint}".strip()
        return DnsCheck(name, "", wanted, (), here, fault, is_fewer)
    return DnsCheck(name, zone, wanted, ask_all(servers, name), here, may_be_fewer=is_fewer)


def zone_servers(answers: Answers) -> tuple[NameServer, ...]:
    """Return the zone's own name servers.

    Raises:
        DnsError: They cannot be found.
    """
    return find_servers(answers.registry.domain, nameservers_of(answers))[1]


def nameservers_of(answers: Answers) -> tuple[str, ...]:
    """Return the name servers the answers give; rfc2136's own one where no others are found."""
    dns = answers.dns
    if dns.nameservers or dns.provider != "rfc2136" or dns.rfc2136 is None:
        return dns.nameservers
    try:
        find_servers(answers.registry.domain)
    except MoorageError:
        host = dns.rfc2136.server
        return (f"[{host}]:{dns.rfc2136.port}" if ":" in host else f"{host}:{dns.rfc2136.port}",)
    return ()


def in_the_way(plan: DnsPlan) -> DnsError:
    """Return the error for records that are not this deployment's."""
    lines = "; ".join(line for each in plan.foreign for line in each.lines())
    return DnsError(
        f"{plan.name} has records that this deployment did not make: {lines}.",
        hint="Whoever uses them would lose them. '--replace-records' replaces them; "
        "'moorage dns undo FILE' brings them back.",
        code="dns_foreign",
    )


def _with_ttl_of(there: RecordSet, wanted: Sequence[RecordSet]) -> RecordSet:
    ttl = next((each.ttl for each in wanted if each.kind == there.kind), there.ttl)
    return RecordSet(there.name, there.kind, there.values, ttl)


def _kind(change: RecordChange) -> str:
    either = change.after or change.before
    return either.kind if either else ""
