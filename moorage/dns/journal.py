"""Records each DNS change on this machine with the records before it, so that it can be undone."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from moorage.dns.records import RecordChange, RecordSet
from moorage.errors import MoorageError
from moorage.state import private_folder, write_private

_MOST_ENTRIES = 50


@dataclass(frozen=True)
class Entry:
    """One change.

    Attributes:
        at: Time of the change, in seconds since 1970.
        by: apply, undo or failover.
        where: The provider as shown to users.
        changes: The changed record sets.
    """

    at: float
    by: str
    where: str
    changes: tuple[RecordChange, ...]


def entries(name: str) -> tuple[Entry, ...]:
    """Return the changes to a name made from this machine, oldest first.

    Raises:
        MoorageError: The journal cannot be read.
    """
    path = private_folder("dns") / f"{name}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return tuple(_entry(each) for each in content)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise MoorageError(
            f"the journal of earlier DNS changes, {path}, cannot be read.",
            advice="Move it away to continue without it; those changes can then not be undone.",
            code="journal_unreadable",
        ) from error


def remember(name: str, by: str, where: str, changes: Sequence[RecordChange]) -> None:
    """Add a change. Consecutive changes by failover are merged into one.

    Args:
        name: The name.
        by: apply, undo or failover.
        where: The provider as shown to users.
        changes: The changed record sets.
    """
    earlier = list(entries(name))
    change = tuple(changes)
    if by == "failover" and earlier and earlier[-1].by == "failover":
        change = _merged(earlier.pop().changes, change)
    _write(name, [*earlier, Entry(time.time(), by, where, change)])


def forget_last(name: str) -> None:
    """Remove the last change after it was undone."""
    _write(name, list(entries(name))[:-1])


def known_values(name: str) -> frozenset[str]:
    """Return all values that changes from this machine have ever set for a name."""
    return frozenset(
        value
        for entry in entries(name)
        for change in entry.changes
        if change.after is not None
        for value in change.after.values
    )


def _merged(
    first: Sequence[RecordChange], then: Sequence[RecordChange]
) -> tuple[RecordChange, ...]:
    by_kind = {_kind(change): change for change in first}
    for change in then:
        before = by_kind.get(_kind(change))
        by_kind[_kind(change)] = RecordChange(before.before, change.after) if before else change
    return tuple(by_kind.values())


def _kind(change: RecordChange) -> str:
    either = change.after or change.before
    return either.kind if either else ""


def _write(name: str, all_entries: Sequence[Entry]) -> None:
    content = [asdict(entry) for entry in all_entries[-_MOST_ENTRIES:]]
    path = private_folder("dns") / f"{name}.json"
    write_private(path, json.dumps(content, indent=1).encode())


def _entry(value: dict[str, object]) -> Entry:
    changes = value["changes"]
    assert isinstance(changes, list)
    return Entry(
        float(str(value["at"])),
        str(value["by"]),
        str(value["where"]),
        tuple(RecordChange(_set(each["before"]), _set(each["after"])) for each in changes),
    )


def _set(value: dict[str, object] | None) -> RecordSet | None:
    if value is None:
        return None
    values, ttl = value["values"], value["ttl"]
    if not isinstance(values, list) or not isinstance(ttl, int | None):
        raise TypeError
    return RecordSet(
        str(value["name"]), str(value["kind"]), tuple(map(str, values)), ttl,
        bool(value.get("checked")),
    )  # fmt: skip
