"""Operations on the registry's DNS records: plan, apply, undo, check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moorage.answers.model import Answers
from moorage.dns import journal
from moorage.dns.desired_records import desired_records
from moorage.dns.local_resolver import resolve_locally
from moorage.dns.lookup import (
    Cancelled,
    DnsError,
    NameServer,
    Reply,
    find_name_servers,
    query_all,
    reply_matches,
    wait_until_served,
)
from moorage.dns.providers import Resolve, open_provider
from moorage.dns.records import Provider, RecordChange, RecordSet, in_order, plan_changes
from moorage.errors import MoorageError
from moorage.rows import Level, Row

SERVED_WITHIN = 60.0
"""Seconds for all name servers of the zone to serve changed records."""


@dataclass(frozen=True)
class DnsPlan:
    """The changes an apply would make to the registry's records.

    Attributes:
        name: The registry's name.
        provider: The zone's provider.
        desired: The desired records.
        current: The current records.
        changes: The changes from the current to the desired records.
        is_undo: Whether the plan undoes an earlier change.
    """

    name: str
    provider: Provider = field(repr=False)
    desired: tuple[RecordSet, ...]
    current: tuple[RecordSet, ...]
    changes: tuple[RecordChange, ...]
    is_undo: bool = False

    @property
    def can_write(self) -> bool:
        """Whether Moorage can make the changes; otherwise the operator has to."""
        return self.provider.can_write

    @property
    def has_changes(self) -> bool:
        """Whether there is anything for Moorage to do."""
        return self.can_write and bool(self.changes)

    @property
    def foreign(self) -> tuple[RecordSet, ...]:
        """Existing records that this deployment did not create and the plan would remove."""
        return tuple(
            change.before for change in self.changes if change.is_foreign and change.before
        )

    @property
    def summary(self) -> str:
        """The plan in one line."""
        if not self.changes:
            return f"{self.name}: nothing to change"
        count = len(self.changes)
        sets = f"{count} record set" + ("s" if count > 1 else "")
        return f"{self.name}: {sets} to {'change' if self.can_write else 'change by hand'}"


@dataclass(frozen=True)
class DnsReport:
    """The result of a change to the registry's records.

    Attributes:
        name: The registry's name.
        changes: The changes made; empty if the records already matched.
        replies: The replies of the zone's name servers afterwards.
        missing: The replies without the desired records.
        note: A note for the operator, or empty.
    """

    name: str
    changes: tuple[RecordChange, ...]
    replies: tuple[Reply, ...]
    missing: tuple[Reply, ...]
    note: str = ""

    @property
    def is_served(self) -> bool:
        """Whether all name servers of the zone serve the desired records."""
        return bool(self.replies) and not self.missing

    @property
    def rows(self) -> list[Row]:
        """The replies of the name servers, in sentences."""
        rows = []
        if self.note:
            rows.append(Row("note", "", self.note, Level.WARNING))
        if self.is_served:
            count = len(self.replies)
            by = "its name server" if count == 1 else f"all {count} name servers"
            rows.append(Row("served", "", f"served by {by}", Level.GOOD))
        for each in self.missing:
            reply = each.fault or f"{each.server} answers {each.text}"
            rows.append(Row("missing", "", f"not yet: {reply}", Level.BAD))
        return rows


@dataclass(frozen=True)
class DnsCheck:
    """A name's records according to its zone's name servers and to this machine's resolver.

    Attributes:
        name: The name.
        zone: Its zone; empty if none was found.
        desired: The desired records.
        replies: Each name server's reply.
        local_addresses: The addresses the name resolves to on this machine.
        problem: Why the zone's name servers could not be queried; None if they were.
        may_be_subset: Whether some of the desired values are enough, because of failover.
    """

    name: str
    zone: str
    desired: tuple[RecordSet, ...]
    replies: tuple[Reply, ...]
    local_addresses: tuple[str, ...]
    problem: MoorageError | None = None
    may_be_subset: bool = False

    @property
    def is_good(self) -> bool:
        """Whether every name server serves the desired records."""
        return bool(self.replies) and all(self.is_right(each) for each in self.replies)

    def is_right(self, reply: Reply) -> bool:
        """Whether a reply has the desired records; with failover some of them are enough."""
        if reply_matches(reply, self.desired):
            return True
        return self.may_be_subset and bool(reply.values) and reply.values <= self._values

    @property
    def rows(self) -> list[Row]:
        """The values that each name server and this machine return."""
        rows = [
            Row(
                "name_server",
                str(each.server),
                each.text,
                Level.GOOD if self.is_right(each) else Level.BAD,
            )
            for each in self.replies
        ]
        here = set(self.local_addresses)
        level = Level.GOOD if here and here <= self._values else Level.INFO
        text = ", ".join(self.local_addresses) or "nothing"
        return [*rows, Row("this_machine", "this machine", text, level)]

    @property
    def _values(self) -> set[str]:
        return {value for each in self.desired for value in each.values}


def plan_dns(answers: Answers, addresses: Mapping[str, str], resolve: Resolve) -> DnsPlan:
    """Return the changes that make the registry's name resolve to its servers.

    Args:
        answers: The operator's answers.
        addresses: The address or host name at which clients reach each server, by label.
        resolve: Resolves secret references.

    Raises:
        MoorageError: The provider does not answer, refuses, or does not have the zone.
    """
    provider = open_provider(answers, resolve)
    name = answers.registry.domain
    desired = desired_records(answers, addresses)
    current = provider.read(name)
    if not provider.can_write:
        # Records created by hand can have any TTL; only their values are compared.
        current = tuple(_with_ttl_of(each, desired) for each in current)
    changes = plan_changes(
        current,
        desired,
        known=journal.known_values(name),
        may_be_subset=answers.dns.failover is not None,
    )
    return DnsPlan(name, provider, desired, current, changes)


def apply_dns(
    answers: Answers,
    plan: DnsPlan,
    *,
    replace: bool = False,
    wait: float = SERVED_WITHIN,
    cancelled: Cancelled = lambda: False,
) -> DnsReport:
    """Make the changes of a plan, record the previous state, and wait until they are served.

    Args:
        answers: The operator's answers.
        plan: The plan from :func:`plan_dns` or :func:`plan_undo`.
        replace: Whether to replace records that this deployment did not create.
        wait: Seconds for all name servers of the zone to serve the records.
        cancelled: Ends the wait.

    Raises:
        DnsError: Records of another origin are in the way, or the provider refuses.
    """
    if plan.changes:
        if plan.foreign and not replace:
            raise foreign_records_error(plan)
        plan.provider.write(plan.changes)
        if plan.is_undo:
            journal.forget_last(plan.name)
        else:
            journal.remember(plan.name, "apply", plan.provider.title, plan.changes)
    changed = {_kind(change): change.after for change in plan.changes}
    now = {each.kind: each for each in plan.current} | changed
    desired = [each for each in now.values() if each is not None]
    try:
        servers = zone_servers(answers)
    except MoorageError as error:
        note = f"Could not check whether the zone's name servers serve it: {error.message}"
        return DnsReport(plan.name, plan.changes, (), (), note)
    replies = wait_until_served(servers, plan.name, desired, seconds=wait, cancelled=cancelled)
    missing = tuple(each for each in replies if not reply_matches(each, desired))
    return DnsReport(plan.name, plan.changes, replies, missing)


def check_can_undo(answers: Answers) -> None:
    """Check that there is a change to undo.

    Raises:
        DnsError: No change was made from this machine.
    """
    name = answers.registry.domain
    if not journal.entries(name):
        raise DnsError(
            f"nothing to undo: no change to {name} was made from this machine.",
            advice="Changes can be undone only on the machine that made them.",
            code="nothing_to_undo",
        )


def plan_undo(answers: Answers, addresses: Mapping[str, str], resolve: Resolve) -> DnsPlan:
    """Return the plan that undoes the last change to the name made from this machine.

    Raises:
        DnsError: There is no such change.
        MoorageError: The provider does not answer, refuses, or does not have the zone.
    """
    check_can_undo(answers)
    name = answers.registry.domain
    entries = journal.entries(name)
    provider = open_provider(answers, resolve)
    if not provider.can_write:
        provider.write(())
    current = provider.read(name)
    there = {each.kind: each for each in current}
    ours = journal.known_values(name) | {
        each for address in addresses.values() for each in resolve_locally(address)
    }
    changes = []
    for change in entries[-1].changes:
        now = there.get(_kind(change))
        if now is None and change.before is None:
            continue
        if now is not None and now.matches(change.before):
            continue
        is_foreign = now is not None and not set(now.values) <= ours
        changes.append(RecordChange(now, change.before, is_foreign))
    desired = {_kind(change): change.after for change in changes}
    then = {each.kind: each for each in current} | desired
    return DnsPlan(
        name,
        provider,
        tuple(each for each in then.values() if each is not None),
        current,
        in_order(changes),
        is_undo=True,
    )


def check_dns(answers: Answers, addresses: Mapping[str, str]) -> DnsCheck:
    """Look the name up at the zone's name servers and on this machine. Needs no secrets.

    Raises:
        DnsError: A server's name does not resolve.
    """
    name = answers.registry.domain
    desired = desired_records(answers, addresses)
    is_fewer = answers.dns.failover is not None
    here = resolve_locally(name)
    try:
        zone, servers = find_name_servers(name, nameservers_of(answers))
    except MoorageError as error:
        return DnsCheck(name, "", desired, (), here, error, is_fewer)
    return DnsCheck(name, zone, desired, query_all(servers, name), here, may_be_subset=is_fewer)


def zone_servers(answers: Answers) -> tuple[NameServer, ...]:
    """Return the zone's authoritative name servers.

    Raises:
        DnsError: They cannot be found.
    """
    return find_name_servers(answers.registry.domain, nameservers_of(answers))[1]


def nameservers_of(answers: Answers) -> tuple[str, ...]:
    """Return the name servers in the answers, or rfc2136's own if none can be looked up."""
    dns = answers.dns
    if dns.nameservers or dns.provider != "rfc2136" or dns.rfc2136 is None:
        return dns.nameservers
    try:
        find_name_servers(answers.registry.domain)
    except MoorageError:
        host = dns.rfc2136.server
        return (f"[{host}]:{dns.rfc2136.port}" if ":" in host else f"{host}:{dns.rfc2136.port}",)
    return ()


def foreign_records_error(plan: DnsPlan) -> DnsError:
    """Return the error for existing records that this deployment did not create."""
    lines = "; ".join(line for each in plan.foreign for line in each.lines())
    return DnsError(
        f"{plan.name} has records that this deployment did not create: {lines}.",
        advice="Replacing them breaks what uses them. To replace them, add '--replace-records'; "
        "'moorage dns undo FILE' restores them.",
        code="dns_foreign",
    )


def _with_ttl_of(there: RecordSet, desired: Sequence[RecordSet]) -> RecordSet:
    ttl = next((each.ttl for each in desired if each.kind == there.kind), there.ttl)
    return RecordSet(there.name, there.kind, there.values, ttl)


def _kind(change: RecordChange) -> str:
    either = change.after or change.before
    return either.kind if either else ""
