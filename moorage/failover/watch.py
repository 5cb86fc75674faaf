"""The watch: checks the servers in rounds and keeps the record pointing to those that are up."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from moorage.dns.local_resolver import resolve_locally
from moorage.dns.records import (
    Provider,
    RecordChange,
    RecordSet,
    clean_name,
    plan_changes,
    record_sets,
)
from moorage.errors import MoorageError
from moorage.failover.health import Registry, find_fault
from moorage.failover.verdict import Rules, Verdict, after_check

_READ_AGAIN = 60.0
"""Seconds after which the record is read again to detect changes by others."""
_RESOLVE_WITHIN = 2.0

Result = TypeVar("Result")

OnNews = Callable[["News"], None]
Remember = Callable[[Sequence[RecordChange]], None]


@dataclass(frozen=True)
class Watched:
    """A server's label, and the address or host name at which clients reach it."""

    server: str
    host: str


@dataclass(frozen=True)
class Task:
    """The servers to monitor, and how.

    Attributes:
        name: The registry's name.
        servers: All its servers.
        registry: The registry to check on them.
        rules: The check interval and thresholds.
        ttl: The record's TTL in seconds.
        known: Former addresses of the servers, which can be removed from the record.
    """

    name: str
    servers: tuple[Watched, ...]
    registry: Registry
    rules: Rules
    ttl: int
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class News:
    """An event.

    Attributes:
        kind: begin, bad, out, in, address, record, taken_out, none_left, foreign or problem.
        text: The log message.
        at: Time in seconds since 1970.
    """

    kind: str
    text: str
    at: float = field(default_factory=time.time)


class Watch:
    """Monitors servers and keeps the record pointing to those that are up.

    Args:
        task: The task.
        provider: The DNS provider.
        on_news: Called with each event.
        remember: Called with each change of the record, so that it can be undone.
        taken_out: The servers that others took out of the record before, by label.

    Attributes:
        taken_out: The servers that others took out of the record, with their addresses: they are
            left out until the record has them again.
    """

    def __init__(
        self,
        task: Task,
        provider: Provider,
        on_news: OnNews = lambda news: None,
        remember: Remember = lambda changes: None,
        taken_out: Collection[str] = (),
    ) -> None:
        self.task = task
        self.provider = provider
        self.verdicts: dict[str, Verdict] = {}
        self.faults: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.record: frozenset[str] | None = None
        self.taken_out: dict[str, set[str]] = {label: set() for label in taken_out}
        self._ours: set[str] = set(task.known)
        self._missing: dict[str, float] = {}
        self._written: frozenset[str] | None = None
        self._written_at = float("-inf")
        self._read_at = float("-inf")
        self._reported: dict[str, str] = {}
        self._on_news = on_news
        self._remember = remember

    def round(self) -> float:
        """Check every server once and update the record.

        Returns:
            Seconds from the start of this round to the start of the next.
        """
        self._resolve()
        if self.record is None:
            self._begin()
        self._check()
        self._follow()
        in_doubt = any(each.is_in and each.is_in_doubt for each in self.verdicts.values())
        rules = self.task.rules
        return rules.pause_in_doubt if in_doubt else rules.interval

    def run(self, stop: threading.Event, after_round: Callable[[], None] = lambda: None) -> None:
        """Make rounds until stopped.

        Args:
            stop: Ends the loop when set.
            after_round: Called after each round.
        """
        while not stop.is_set():
            started = time.monotonic()
            pause = self.round()
            after_round()
            stop.wait(max(0.0, started + pause - time.monotonic()))

    def once(self, stop: threading.Event) -> bool:
        """Make rounds until no server's state is in doubt.

        Returns:
            Whether the record points to the servers that are up.
        """
        rules = self.task.rules
        for _ in range(max(rules.fall, rules.rise)):
            started = time.monotonic()
            self.round()
            if stop.is_set() or not any(each.is_in_doubt for each in self.verdicts.values()):
                break
            stop.wait(max(0.0, started + rules.pause_in_doubt - time.monotonic()))
        return self.record is not None and self.record == self.desired

    @property
    def desired(self) -> frozenset[str]:
        """The addresses that belong in the record; the current ones if no server is up."""
        return self._working() or self.record or frozenset()

    @property
    def known(self) -> tuple[str, ...]:
        """All current and former addresses of the servers."""
        return tuple(sorted(self._ours))

    def as_json(self) -> dict[str, object]:
        """Return the status as JSON values."""
        return {
            "name": self.task.name,
            "at": time.time(),
            "record": sorted(self.record) if self.record is not None else None,
            "is_current": self.record == self.desired,
            "problem": self._reported.get("problem") or self._reported.get("foreign") or None,
            "taken_out": sorted(self.taken_out),
            "servers": [
                {
                    "server": self.owners[address],
                    "address": address,
                    "is_in": verdict.is_in,
                    "fault": self.faults.get(address, ""),
                }
                for address, verdict in sorted(self.verdicts.items())
            ],
        }

    def _resolve(self) -> None:
        """Resolve the servers' names; a server keeps its addresses if its name does not resolve."""
        found = _all_addresses(self.task.servers)
        for watched in self.task.servers:
            had = {a for a, owner in self.owners.items() if owner == watched.server}
            has = set(found.get(watched.server, ())) or had
            if watched.server in self.taken_out:
                self.taken_out[watched.server] |= has
                self._ours |= has
                continue
            if has == had:
                continue
            for address in has - had:
                # A server that has moved keeps its standing: one successful check is enough.
                needs = 1 if had else None
                self.verdicts[address] = Verdict(False, needs=needs)
                self.owners[address] = watched.server
            if had:
                self._news(
                    "address",
                    f"{watched.server} has moved from {_listed(had)} to {_listed(has)}",
                )
            self._forget(had - has)
            self._ours |= has

    def _begin(self) -> None:
        """Take over the current record: servers in it count as up."""
        current = self._read()
        if current is None:
            return
        there = _values(current)
        self._take_back(there)
        self.record = there
        for address, verdict in self.verdicts.items():
            # Without a record, the first successful check is enough.
            needs = verdict.needs if there & self._ours else 1
            self.verdicts[address] = replace(verdict, is_in=address in there, needs=needs)
        addresses = _listed(there) or "nothing yet"
        self._news("begin", f"{self.task.name} points to {addresses}")

    def _check(self) -> None:
        rules, now = self.task.rules, time.monotonic()
        faults = _in_parallel(
            {
                address: partial(find_fault, self.task.registry, address, rules.timeout)
                for address in self.verdicts
            },
            rules.timeout + 0.5,
        )
        for address, before in list(self.verdicts.items()):
            fault = faults.get(address, f"no answer within {rules.timeout:g} s")
            self.faults[address] = fault
            after = after_check(before, is_good=not fault, now=now, rules=rules)
            self.verdicts[address] = after
            who = f"{self.owners[address]} ({address})"
            if fault and before.is_in and not before.is_in_doubt:
                self._news("bad", f"{who}: {fault}")
            if before.is_in and not after.is_in:
                self._news("out", f"{who} counts as down")
            elif after.is_in and not before.is_in:
                self._news("in", f"{who} counts as up")

    def _working(self) -> frozenset[str]:
        """The addresses of the servers that count as up, without those missing in the record."""
        up = frozenset(address for address, each in self.verdicts.items() if each.is_in)
        working = frozenset(a for a in up if self.owners[a] not in self._missing) or up
        known = {*self.owners.values(), *self.taken_out}
        if any(each.server not in known for each in self.task.servers):
            # A server whose name has never resolved can be one of those in the record.
            working |= (self.record or frozenset()) - self.owners.keys()
        return working

    def _follow(self) -> None:
        """Update the record, unless no server is up."""
        working = self._working()
        if not working:
            self._news_once("none_left", "no server is up; the record is left unchanged")
            return
        self._reported.pop("none_left", None)
        is_old = time.monotonic() - self._read_at > _READ_AGAIN
        if self.record == working and not is_old:
            return
        current = self._read()
        if current is None:
            return
        self._note_changes_by_others(_values(current))
        changes = self._plan(current)
        if changes and self._read_at in self._missing.values():
            # The record cannot confirm this answer after a change: the next round asks again.
            return
        foreign = [each.before for each in changes if each.is_foreign and each.before]
        if foreign:
            lines = "; ".join(line for each in foreign for line in each.lines())
            self._news_once("foreign", f"the record was changed by others and is kept: {lines}")
            self.record = _values(current)
            return
        self._reported.pop("foreign", None)
        if changes and not self._write(changes):
            return
        self.record = self._working()

    def _plan(self, current: Sequence[RecordSet]) -> tuple[RecordChange, ...]:
        desired = record_sets(self.task.name, sorted(self._working()), self.task.ttl)
        return plan_changes(current, desired, known=self._ours)

    def _note_changes_by_others(self, there: frozenset[str]) -> None:
        """Leave out the servers that others took out of the record, such as an apply without them.

        As an answer may be outdated, they are only forgotten when a later one says the same.
        Another failover takes out only what is down, and may not be there to put it back.

        Args:
            there: The addresses in the record.
        """
        self._take_back(there)
        if there != self._written and self._read_at - self._written_at > _READ_AGAIN:
            self._written = None
        if self.record is not None and self._written is not None:
            # What this failover removed counts as removed, though the write was reported as failed
            # or an answer after it was outdated.
            self.record &= self._written | there
        up = {address for address, each in self.verdicts.items() if each.is_in}
        before = (self.record or frozenset()) | {
            address for address, label in self.owners.items() if label in self._missing
        }
        staying = self._labels(there & up)
        # Without one that works, the record would be emptied.
        missing = self._labels(before & up) - staying if staying else set()
        self._missing = {label: self._missing.get(label, self._read_at) for label in missing}
        for label in sorted(missing):
            addresses = {each for each, owner in self.owners.items() if owner == label}
            is_in_doubt = any(self.verdicts[address].is_in_doubt for address in addresses)
            if is_in_doubt or self._read_at - self._missing[label] <= _READ_AGAIN:
                continue
            del self._missing[label]
            self._forget(addresses)
            self.taken_out[label] = addresses
            self._news(
                "taken_out",
                f"{label} ({_listed(addresses)}) was taken out of the record by others and is no "
                "longer monitored",
            )

    def _take_back(self, there: frozenset[str]) -> None:
        """Monitor servers again that others have put back into the record."""
        for label, addresses in list(self.taken_out.items()):
            if addresses & there:
                del self.taken_out[label]
                for address in addresses:
                    self.verdicts[address] = Verdict(address in there)
                    self.owners[address] = label
                self._news("address", f"{label} ({_listed(addresses)}) is in the record again")

    def _labels(self, addresses: Collection[str]) -> set[str]:
        return {self.owners[address] for address in addresses}

    def _forget(self, addresses: Collection[str]) -> None:
        for address in addresses:
            self.verdicts.pop(address, None)
            self.owners.pop(address, None)
            self.faults.pop(address, None)

    def _read(self) -> tuple[RecordSet, ...] | None:
        try:
            current = self.provider.read(clean_name(self.task.name))
        except MoorageError as error:
            self._news_once("problem", str(error))
            return None
        self._read_at = time.monotonic()
        self._reported.pop("problem", None)
        return current

    def _write(self, changes: Sequence[RecordChange]) -> bool:
        self._written, self._written_at = self._working(), time.monotonic()
        try:
            self.provider.write(changes)
        except MoorageError as error:
            self._news_once("problem", str(error))
            return False
        lines = "; ".join(line for change in changes for line in change.diff if line[0] != " ")
        self._news("record", f"the record was changed: {lines}")
        self._remember(changes)
        return True

    def _news(self, kind: str, text: str) -> None:
        self._on_news(News(kind, text))

    def _news_once(self, kind: str, text: str) -> None:
        """Report a lasting condition only when it starts or changes."""
        if self._reported.get(kind) != text:
            self._reported[kind] = text
            self._news(kind, text)


def _all_addresses(servers: Sequence[Watched]) -> Mapping[str, tuple[str, ...]]:
    """Resolve all servers' names, with a short time limit for each."""
    found: dict[str, tuple[str, ...]] = {}
    names: dict[str, Callable[[], tuple[str, ...]]] = {}
    for watched in servers:
        try:
            found[watched.server] = (str(ipaddress.ip_address(watched.host)),)
        except ValueError:
            names[watched.server] = partial(resolve_locally, watched.host)
    return found | _in_parallel(names, _RESOLVE_WITHIN)


def _in_parallel(jobs: Mapping[str, Callable[[], Result]], seconds: float) -> dict[str, Result]:
    """Run jobs in parallel and return the results that are ready in time; abandon the rest."""
    results: dict[str, Result] = {}
    threads = []
    for key, job in jobs.items():

        def work(key: str = key, job: Callable[[], Result] = job) -> None:
            results[key] = job()

        threads.append(threading.Thread(target=work, daemon=True))
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(results)


def _values(records: Sequence[RecordSet]) -> frozenset[str]:
    return frozenset(value for each in records for value in each.values)


def _listed(addresses: Collection[str]) -> str:
    return ", ".join(sorted(addresses))
