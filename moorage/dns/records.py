"""Records and what has to change about them. Pure, and without anything but Python."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

KINDS = ("CNAME", "A", "AAAA")
"""The record types Moorage makes, a CNAME alone or the others."""


@dataclass(frozen=True)
class RecordSet:
    """All records of one type at one name.

    Attributes:
        name: The name, in small letters, without the dot at the end.
        kind: A, AAAA or CNAME.
        values: Addresses or names, sorted.
        ttl: Seconds they may be cached; None where a provider does not tell.
        checked: Whether the provider checks each value and leaves out what does not answer.
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
        """Return a record set with everything in its one form."""
        clean = sorted({clean_value(kind, value) for value in values})
        return cls(clean_name(name), kind, tuple(clean), ttl, checked)

    def lines(self) -> tuple[str, ...]:
        """The records as a zone file has them."""
        ttl = "" if self.ttl is None else f" {self.ttl}"
        checked = " (with a health check)" if self.checked else ""
        return tuple(f"{self.name}{ttl} {self.kind} {value}{checked}" for value in self.values)

    def says(self, other: RecordSet | None) -> bool:
        """Whether another set is the same; a TTL that is not known counts as the same."""
        if other is None or (self.kind, self.values) != (other.kind, other.values):
            return False
        ttls = {self.ttl, other.ttl} - {None}
        return len(ttls) < 2 and self.checked == other.checked


@dataclass(frozen=True)
class RecordChange:
    """What becomes of one record set.

    Attributes:
        before: What is there; None when nothing is.
        after: What will be there; None when nothing will be.
        is_foreign: Whether something is there that this deployment did not put there.
    """

    before: RecordSet | None
    after: RecordSet | None
    is_foreign: bool = False

    @property
    def action(self) -> Literal["add", "change", "remove"]:
        """What is done."""
        if self.before is None:
            return "add"
        return "remove" if self.after is None else "change"

    @property
    def diff(self) -> tuple[str, ...]:
        """The records: a minus before those that go, a plus before those that come."""
        before = self.before.lines() if self.before else ()
        after = self.after.lines() if self.after else ()
        kept = [f"  {line}" for line in before if line in after]
        gone = [f"- {line}" for line in before if line not in after]
        come = [f"+ {line}" for line in after if line not in before]
        return (*gone, *kept, *come)

    @property
    def reverse(self) -> RecordChange:
        """The change that takes this one back."""
        return RecordChange(self.after, self.before)


class Provider(Protocol):
    """Whoever holds the zone: tells what is there, and changes it where it can.

    Attributes:
        title: What it is, for people: ``rfc2136 on 192.0.2.53, zone example.com``.
        can_write: Whether it can change records.
    """

    @property
    def title(self) -> str: ...

    @property
    def can_write(self) -> bool: ...

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the A, AAAA and CNAME records of a name.

        Raises:
            MoorageError: It does not answer, refuses, or has no zone for the name.
        """

    def write(self, changes: Sequence[RecordChange]) -> None:
        """Make changes, all or none where the provider can; what is there must still be ``before``.

        Raises:
            MoorageError: It does not answer, refuses, or something else is there by now.
        """


def clean_name(name: str) -> str:
    """Return a name in small letters, without the dot at the end."""
    return name.strip().lower().removesuffix(".")


def clean_value(kind: str, value: str) -> str:
    """Return a record's value in its one form."""
    if kind in {"A", "AAAA"}:
        return str(ipaddress.ip_address(value.strip()))
    return clean_name(value)


def kind_of(value: str) -> str:
    """Return the type of record that leads to an address or a name."""
    try:
        return "A" if ipaddress.ip_address(value).version == 4 else "AAAA"
    except ValueError:
        return "CNAME"


def record_sets(
    name: str, values: Iterable[str], ttl: int | None, *, checked: bool = False
) -> tuple[RecordSet, ...]:
    """Return the record sets that lead a name to addresses, or to one other name."""
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
    wanted: Sequence[RecordSet],
    known: Iterable[str] = (),
    *,
    may_be_fewer: bool = False,
) -> tuple[RecordChange, ...]:
    """Return what has to change at a name.

    Args:
        current: What is there.
        wanted: What is wanted; a type that is not listed is not wanted.
        known: Addresses and names that belong to this deployment, or did.
        may_be_fewer: Whether some of the wanted addresses are enough, because failover decides
            which of them are in the record at a time.
    """
    ours = set(known) | {value for each in wanted for value in each.values}
    there = {each.kind: each for each in current}
    then = {each.kind: each for each in wanted}
    if may_be_fewer:
        then = _as_far_as_there(there, then)
    changes = []
    for kind in KINDS:
        before, after = there.get(kind), then.get(kind)
        if before is None and after is None:
            continue
        if before is not None and before.says(after):
            continue
        is_foreign = before is not None and not set(before.values) <= ours
        changes.append(RecordChange(before, after, is_foreign))
    return in_order(changes)


def in_order(changes: Iterable[RecordChange]) -> tuple[RecordChange, ...]:
    """Return changes in an order they can be made in: a CNAME bears nothing beside it."""
    return tuple(sorted(changes, key=lambda change: change.after is not None))


def _as_far_as_there(
    there: dict[str, RecordSet], then: dict[str, RecordSet]
) -> dict[str, RecordSet]:
    """Leave out the wanted addresses that are not in the record, if some are and no others."""
    now = {value for each in there.values() for value in each.values}
    all_of_it = {value for each in then.values() for value in each.values}
    if not now or not now <= all_of_it:
        return then
    return {
        kind: replace(each, values=there[kind].values)
        for kind, each in then.items()
        if kind in there
    }
