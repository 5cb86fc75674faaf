"""Revisions of a deployment: who changed what, and when.

Every apply and every change of the users is one revision. deployment.json on the servers keeps the
latest ones. What is read from there is only ever displayed as text.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.deploy.record.deployment_json import deployment_record, line_of
from moorage.deploy.record.left_servers import members
from moorage.desired.users import RegistryUser
from moorage.servers.facts import Facts

OPERATOR = "MOORAGE_BY"
"""The environment variable that names the operator, for example in a CI job."""
MOST_KEPT = 20
"""The number of changes a record keeps."""
_MOST_NAMES = 500
_LONGEST = 200
_LISTS = ("added", "removed", "changed", "answers", "upgraded_to")
_NOT_COMPARED = {"version", "ask", "based_on", "credentials"}


@dataclass(frozen=True)
class Change:
    """An apply, or a change of the users.

    Attributes:
        revision: The deployment's revision after it.
        by: The operator: USER@MACHINE, or the value of MOORAGE_BY.
        at: When, ISO 8601 in UTC.
        added: The users it added, by name.
        removed: The users it removed, by name.
        changed: The users whose password, access or state it changed, by name.
        answers: The other answers it changed, as dotted paths.
        has_more: Whether there were too many names to keep all of them.
        rolled_back_to: The revision whose deployment was restored; 0 if it was none.
        upgraded_to: The versions or images of an upgrade; none if it was none.
    """

    revision: int = 0
    by: str = ""
    at: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    has_more: bool = False
    rolled_back_to: int = 0
    upgraded_to: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """The changes in words; empty when unknown."""
        parts = [f"rolled back to revision {self.rolled_back_to}"] if self.rolled_back_to else []
        parts += [
            f"{what} {', '.join(names)}"
            for what, names in (
                ("upgraded to", self.upgraded_to),
                ("added", self.added),
                ("removed", self.removed),
                ("changed", self.changed),
                ("changed settings", self.answers),
            )
            if names
        ]
        return "; ".join(parts) + (" and more" if self.has_more else "")

    def __str__(self) -> str:
        when = self.at.replace("T", " ").removesuffix("Z")
        head = f"revision {self.revision}, by {self.by or 'unknown'}, {when} UTC"
        return f"{head}: {self.what}" if self.what else head


@dataclass(frozen=True)
class Revision:
    """The state of a deployment, as its servers recorded it.

    Attributes:
        number: The number of applies and changes of the users so far; 0 where none was recorded.
        by: The operator of the last one.
        at: When, ISO 8601 in UTC.
        history: The latest changes, oldest first.
    """

    number: int = 0
    by: str = ""
    at: str = ""
    history: tuple[Change, ...] = ()

    def knows(self, base: int | None) -> bool:
        """Return whether all changes since an earlier revision are known.

        Args:
            base: The earlier revision; None when it was not recorded.
        """
        if base is None or base > self.number:
            return False
        after = self.since(base)
        return len(after) == self.number - base and not any(each.has_more for each in after)

    def since(self, base: int | None) -> tuple[Change, ...]:
        """Return the known changes after an earlier revision."""
        return tuple(each for each in self.history if each.revision > (base or 0))

    def following(self, base: int | None, change: Change) -> Change:
        """Return a change with its revision number, by this operator, now.

        Answers from before the servers were reinstalled can have a higher number than the servers:
        no number is used twice.

        Args:
            base: The revision the answers are based on.
            change: The change.
        """
        return replace(change, revision=max(self.number, base or 0) + 1, by=operator(), at=now())


NO_CHANGE = Change()
UNRECORDED = Revision()


def operator() -> str:
    """Return the operator's name: ``MOORAGE_BY``, or USER@MACHINE."""
    name = os.environ.get(OPERATOR, "").strip()
    if not name:
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container's user without a name
            user = str(os.getuid())
        name = f"{user}@{socket.gethostname()}"
    return "".join(each for each in name if each.isprintable())[:_LONGEST]


def revision_of(facts: Facts) -> Revision:
    """Return the revision that a server recorded."""
    return revision_in(deployment_record(facts))


def revision_in(record: Mapping[str, Any]) -> Revision:
    """Return the revision in a server's record.

    Args:
        record: The content of deployment.json; any of it can be wrong.
    """
    return Revision(
        _number(record.get("revision")) or 0,
        line_of(record.get("by")),
        line_of(record.get("at")),
        tuple(_history(record.get("history"))),
    )


def latest(every: Iterable[Facts]) -> Revision:
    """Return the deployment's revision: the latest of its servers'.

    One that left can have a higher number. It is not used again, but what that server recorded is
    not the deployment's.
    """
    servers = tuple(every)
    inside = map(revision_of, members(servers))
    newest = max(inside, key=lambda each: each.number, default=UNRECORDED)
    highest = max((revision_of(facts).number for facts in servers), default=0)
    return replace(newest, number=max(newest.number, highest))


def as_record(revision: Revision, change: Change) -> dict[str, object]:
    """Return the revision part of deployment.json after one more change.

    Args:
        revision: The revision before.
        change: The change, with its revision number.
    """
    kept = [*revision.history, change][-MOST_KEPT:]
    return {
        "revision": change.revision,
        "by": change.by,
        "at": change.at,
        "history": [_entry(each) for each in kept],
    }


def users_changed(before: Iterable[RegistryUser], after: Iterable[RegistryUser]) -> Change:
    """Return the change between two lists of users, without a revision number.

    Args:
        before: The users before.
        after: The users after.
    """
    was, now = {user.name: user for user in before}, {user.name: user for user in after}
    lists = (
        [name for name in now if name not in was],
        [name for name in was if name not in now],
        [name for name in now if name in was and was[name] != now[name]],
    )
    added, removed, changed = (tuple(sorted(each)[:_MOST_NAMES]) for each in lists)
    has_more = any(len(each) > _MOST_NAMES for each in lists)
    return Change(added=added, removed=removed, changed=changed, has_more=has_more)


def changed_paths(before: Mapping[str, Any] | None, after: Answers) -> tuple[str, ...]:
    """Return the answers that differ, except users, as dotted paths of at most two parts.

    Args:
        before: The answers before, as recorded; None when there were none.
        after: The answers after.
    """
    if before is None:
        return ()
    was, now = _places(before), _places(without_secrets(after))
    return tuple(sorted(place for place in was | now if was.get(place) != now.get(place)))


def _places(answers: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section, value in answers.items():
        if section in _NOT_COMPARED:
            continue
        if isinstance(value, dict):
            found |= {f"{section}.{name}": each for name, each in value.items()}
        else:
            found[section] = value
    return found


def _entry(change: Change) -> dict[str, object]:
    entry: dict[str, object] = {
        "revision": change.revision, "by": change.by, "at": change.at
    }  # fmt: skip
    for name in _LISTS:
        if names := getattr(change, name):
            entry[name] = list(names)
    if change.has_more:
        entry["more"] = True
    if change.rolled_back_to:
        entry["rolled_back_to"] = change.rolled_back_to
    return entry


def _history(noted: object) -> Sequence[Change]:
    found = {}
    for entry in noted[-MOST_KEPT:] if isinstance(noted, list) else ():
        if isinstance(entry, Mapping) and (number := _number(entry.get("revision"))) is not None:
            lists = {name: _names(entry.get(name))
                     for name in _LISTS}  # fmt: skip
            found[number] = Change(
                number,
                line_of(entry.get("by")),
                line_of(entry.get("at")),
                **lists,
                has_more=bool(entry.get("more")),
                rolled_back_to=_number(entry.get("rolled_back_to")) or 0,
            )
    return [found[number] for number in sorted(found)]


def _names(noted: object) -> tuple[str, ...]:
    if not isinstance(noted, list):
        return ()
    return tuple(line_of(each) for each in noted[:_MOST_NAMES] if isinstance(each, str))


def _number(noted: object) -> int | None:
    is_one = isinstance(noted, int) and not isinstance(noted, bool) and 0 <= noted < 2**53
    return noted if is_one and isinstance(noted, int) else None


def now() -> str:
    """Return the time as records have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
