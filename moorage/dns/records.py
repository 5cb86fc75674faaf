"""DNS records and the changes between them. Pure; imports only the standard library."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from moorage.rows import Action

KINDS = ("CNAME", "A", "AAAA")
"""The record types Moorage manages: a name has either a CNAME or the others."""


@dataclass(frozen=True)
class RecordSet:
    """All records of one type at one name.

    Attributes:
        name: The name, in lower case, without the trailing dot.
        kind: A, AAAA or CNAME.
        values: Addresses or names, sorted.
        ttl: TTL in seconds; None if the provider does not report it.
        checked: Whether the provider health-checks each value and drops those that fail.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    ttl: int | None = None
    checked: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        kind: str,
        values: Iterable[str],
        ttl: int | None = None,
        *,
        checked: bool = False,
    ) -> RecordSet:
        """Return a record set with all fields normalised."""
        clean = sorted({clean_value(kind, value) for value in values})
        return cls(clean_name(name), kind, tuple(clean), ttl, checked)

    def lines(self) -> tuple[str, ...]:
        """The records in zone file format."""
        ttl = "" if self.ttl is None else f" {self.ttl}"
        checked = " (with a health check)" if self.checked else ""
        return tuple(f"{self.name}{ttl} {self.kind} {value}{checked}" for value in self.values)

    def matches(self, other: RecordSet | None) -> bool:
        """Whether another set is the same; an unknown TTL matches any."""
        if other is None or (self.kind, self.values) != (other.kind, other.values):
            return False
        ttls = {self.ttl, other.ttl} - {None}
        return len(ttls) < 2 and self.checked == other.checked


@dataclass(frozen=True)
class RecordChange:
    """A change to one record set.

    Attributes:
        before: The records before; None if there are none.
        after: The records after; None if they are removed.
        is_foreign: Whether ``before`` has values that this deployment did not set.
    """

    before: RecordSet | None
    after: RecordSet | None
    is_foreign: bool = False

    @property
    def action(self) -> Action:
        """The kind of change."""
        if self.before is None:
            return Action.ADD
        return Action.REMOVE if self.after is None else Action.CHANGE

    @property
    def diff(self) -> tuple[str, ...]:
        """The records: removed ones marked with a minus, added ones with a plus."""
        before = self.before.lines() if self.before else ()
        after = self.after.lines() if self.after else ()
        unchanged = [f"  {line}" for line in before if line in after]
        removed = [f"- {line}" for line in before if line not in after]
        added = [f"+ {line}" for line in after if line not in before]
        return (*removed, *unchanged, *added)

    @property
    def reverse(self) -> RecordChange:
        """The change that undoes this one."""
        return RecordChange(self.after, self.before)


class Provider(Protocol):
    """A zone's provider: reads records, and changes them if it can.

    Attributes:
        title: Its name as shown to users: ``rfc2136 on 192.0.2.53, zone example.com``.
        can_write: Whether it can change records.
    """

    @property
    def title(self) -> str: ...

    @property
    def can_write(self) -> bool: ...

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the A, AAAA and CNAME records of a name.

        Raises:
            MoorageError: It does not answer, refuses, or does not have the name's zone.
        """

    def write(self, changes: Sequence[RecordChange]) -> None:
        """Make changes, atomically if the provider can; current records must match ``before``.

        Raises:
            MoorageError: It does not answer, refuses, or the records have changed.
        """


def clean_name(name: str) -> str:
    """Return a name in lower case, without the trailing dot."""
    return name.strip().lower().removesuffix(".")


def clean_value(kind: str, value: str) -> str:
    """Return a record's value in canonical form."""
    if kind in {"A", "AAAA"}:
        return str(ipaddress.ip_address(value.strip()))
    return clean_name(value)


def kind_of(value: str) -> str:
    """Return the record type for an address or a name."""
    try:
        return "A" if ipaddress.ip_address(value).version == 4 else "AAAA"
    except ValueError:
        return "CNAME"


def record_sets(
    name: str, values: Iterable[str], ttl: int | None, *, checked: bool = False
) -> tuple[RecordSet, ...]:
    """Return the record sets that point a name to addresses, or to one other name."""
    by_kind: dict[str, list[str]] = {}
    for value in values:
        by_kind.setdefault(kind_of(value), []).append(value)
    return tuple(
        RecordSet.of(name, kind, by_kind[kind], ttl, checked=checked and kind != "CNAME")
        for kind in KINDS
        if kind in by_kind
    )


def plan_changes(
    current: Sequence[RecordSet],
    desired: Sequence[RecordSet],
    known: Iterable[str] = (),
    *,
    may_be_subset: bool = False,
) -> tuple[RecordChange, ...]:
    """Return the changes from the current to the desired records of a name.

    Args:
        current: The current records.
        desired: The desired records; other types are removed.
        known: Values that belong to this deployment, or once did.
        may_be_subset: Whether some of the desired addresses are enough, because failover decides
            which of them are in the record at any time.
    """
    ours = set(known) | {value for each in desired for value in each.values}
    old = {each.kind: each for each in current}
    new = {each.kind: each for each in desired}
    if may_be_subset:
        new = _without_absent(old, new)
    changes = []
    for kind in KINDS:
        before, after = old.get(kind), new.get(kind)
        if before is None and after is None:
            continue
        if before is not None and before.matches(after):
            continue
        is_foreign = before is not None and not set(before.values) <= ours
        changes.append(RecordChange(before, after, is_foreign))
    return in_order(changes)


def in_order(changes: Iterable[RecordChange]) -> tuple[RecordChange, ...]:
    """Return changes in an order that works: removals first, as a CNAME must be alone."""
    return tuple(sorted(changes, key=lambda change: change.after is not None))


def _without_absent(old: dict[str, RecordSet], new: dict[str, RecordSet]) -> dict[str, RecordSet]:
    """Drop desired addresses that are not in the record, if it has a subset of them."""
    current = {value for each in old.values() for value in each.values}
    desired = {value for each in new.values() for value in each.values}
    if not current or not current <= desired:
        return new
    return {
        kind: replace(each, values=old[kind].values) for kind, each in new.items() if kind in old
    }
