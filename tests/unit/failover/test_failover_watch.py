"""The watch against small HTTP servers on this machine; the zone is a variable.

What a real zone and real registries do is tested in tests/lab.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from moorage.dns.records import RecordChange, RecordSet, record_sets
from moorage.errors import MoorageError
from moorage.failover.agent import task_as_json, task_from_json
from moorage.failover.health import Registry, find_fault
from moorage.failover.verdict import Rules, Verdict
from moorage.failover.watch import News, Task, Watch, Watched

NAME = "registry.example.test"


@dataclass
class Zone:
    """A provider that keeps records in memory.

    Attributes:
        records: The records.
        writes: What was written.
        fault: Why reading fails.
        fault_of_write: What a write fails with, though it changes the records.
        answer: An outdated answer for whoever reads.
    """

    records: tuple[RecordSet, ...] = ()
    writes: list[Sequence[RecordChange]] = field(default_factory=list)
    fault: str = ""
    fault_of_write: str = ""
    answer: tuple[RecordSet, ...] | None = None

    title = "memory"
    can_write = True

    def read(self, name: str) -> tuple[RecordSet, ...]:
        if self.fault:
            raise MoorageError(self.fault)
        return self.records if self.answer is None else self.answer

    def write(self, changes: Sequence[RecordChange]) -> None:
        self.writes.append(changes)
        now = {each.kind: each for each in self.records}
        for change in changes:
            if change.after is not None:
                now[change.after.kind] = change.after
            elif change.before is not None:
                del now[change.before.kind]
        self.records = tuple(now.values())
        if self.fault_of_write:
            raise MoorageError(self.fault_of_write)

    @property
    def addresses(self) -> set[str]:
        """Where the name leads."""
        return {value for each in self.records for value in each.values}


class _Registry(BaseHTTPRequestHandler):
    status = 401

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a registry that answers on every 127.0.0.x."""
    _Registry.status = 401
    server = ThreadingHTTPServer(("0.0.0.0", 0), _Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def _watch(zone: Zone, port: int, *hosts: str, known: tuple[str, ...] = ()) -> Watch:
    task = Task(
        NAME,
        tuple(Watched(f"server{number}", host) for number, host in enumerate(hosts)),
        Registry(NAME, port, tls=False),
        Rules(interval=2, fall=2, rise=2),
        ttl=60,
        known=known,
    )
    watch = Watch(task, zone, _told.append)
    _told.clear()
    return watch


def _begun(port: int, *hosts: str) -> tuple[Zone, Watch]:
    """Return a zone whose record has all hosts, and a watch that has read it."""
    zone = Zone(record_sets(NAME, hosts, 60))
    watch = _watch(zone, port, *hosts)
    watch.round()
    return zone, watch


_told: list[News] = []


def test_a_server_whose_name_does_not_resolve_is_not_removed(port: int) -> None:
    zone = Zone(record_sets(NAME, ["127.0.0.1", "198.51.100.9"], 60))
    watch = _watch(zone, port, "127.0.0.1", "nowhere.invalid", known=("198.51.100.9",))

    for _ in range(4):
        watch.round()

    assert zone.writes == []
    assert watch.desired == {"127.0.0.1", "198.51.100.9"}


def test_a_name_without_a_record_gets_one_after_the_first_good_check(port: int) -> None:
    zone = Zone()
    _watch(zone, port, "127.0.0.1", "127.0.0.2").round()

    assert zone.addresses == {"127.0.0.1", "127.0.0.2"}
    assert zone.records[0].ttl == 60


def test_an_error_of_the_registry_counts_as_down_and_the_last_record_stays(port: int) -> None:
    zone = Zone(record_sets(NAME, ["127.0.0.1", "127.0.0.2"], 60))
    watch = _watch(zone, port, "127.0.0.1", "127.0.0.2")
    watch.round()
    _Registry.status = 503

    for _ in range(5):
        watch.round()

    assert zone.writes == []
    assert zone.addresses == {"127.0.0.1", "127.0.0.2"}
    assert [each.kind for each in _told].count("none_left") == 1
    assert any("returned status 503" in each.text for each in _told)


def test_a_failing_provider_is_retried_and_reported_once(port: int) -> None:
    zone = Zone(record_sets(NAME, ["127.0.0.9"], 60), fault="the API is down")
    watch = _watch(zone, port, "127.0.0.1", "127.0.0.2", known=("127.0.0.9",))
    for _ in range(3):
        watch.round()
    assert [each.text for each in _told if each.kind == "problem"] == ["the API is down"]

    zone.fault = ""
    for _ in range(3):
        watch.round()
    assert zone.addresses == {"127.0.0.1", "127.0.0.2"}


def test_a_foreign_record_is_kept(port: int) -> None:
    zone = Zone(record_sets(NAME, ["198.51.100.7"], 60))
    watch = _watch(zone, port, "127.0.0.1", "127.0.0.2")

    for _ in range(3):
        watch.round()

    assert zone.writes == []
    assert "198.51.100.7" in next(each.text for each in _told if each.kind == "foreign")


def test_a_server_that_others_took_out_stays_out(port: int, clock: Clock) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    zone, watch = _begun(port, *hosts)
    # This failover has just changed the record itself.
    watch.verdicts["127.0.0.2"] = Verdict(False, needs=1)
    watch.round()
    zone.writes.clear()
    zone.records = record_sets(NAME, hosts[1:], 60)
    for _ in range(2):
        assert "127.0.0.1" in watch.verdicts
        clock.wait()
        watch.round()
    assert watch.as_json()["taken_out"] == ["server0"]
    assert watch.desired == {*hosts[1:]}
    assert [each.kind for each in _told].count("taken_out") == 1

    # So it does after a restart.
    again = Watch(watch.task, zone, _told.append, taken_out=list(watch.taken_out))
    for each in (watch, again):
        for _ in range(3):
            each.round()
        assert "127.0.0.1" not in each.verdicts
    assert zone.writes == []

    # An apply that takes it in again counts, too.
    zone.records = record_sets(NAME, hosts, 60)
    clock.wait()
    for each in (watch, again):
        each.round()
        assert (each.taken_out, each.desired) == ({}, {*hosts})
    assert zone.writes == []


def test_one_outdated_answer_takes_no_server_out(port: int, clock: Clock) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    zone, watch = _begun(port, *hosts)
    zone.answer = record_sets(NAME, hosts[1:], 60)
    clock.wait()
    watch.round()
    zone.answer = None
    for _ in range(3):
        clock.wait()
        watch.round()
    assert (watch.taken_out, zone.writes) == ({}, [])
    assert watch.desired == {*hosts}


def test_an_outdated_answer_before_a_write_takes_no_server_out(port: int, clock: Clock) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    zone, watch = _begun(port, *hosts)
    zone.answer = record_sets(NAME, hosts[1:], 60)
    watch.verdicts["127.0.0.3"] = Verdict(False, needs=99)
    watch.round()
    assert zone.writes == []
    zone.answer = None
    for _ in range(2):
        watch.round()
        assert zone.addresses == {*hosts[:2]}
        clock.wait()
    assert (watch.taken_out, watch.desired) == ({}, {*hosts[:2]})


def test_an_outdated_answer_after_a_write_takes_no_server_out(port: int, clock: Clock) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    zone, watch = _begun(port, *hosts)
    watch.verdicts["127.0.0.1"] = Verdict(False, needs=2)
    watch.round()
    assert zone.addresses == {*hosts[1:]}
    # It works again, and seems to be in the record already.
    zone.answer = record_sets(NAME, hosts, 60)
    watch.round()
    zone.answer = None
    for _ in range(3):
        clock.wait()
        watch.round()
    assert not watch.taken_out
    assert zone.addresses == {*hosts}


def test_a_removal_counts_even_if_the_record_needs_a_change(port: int, clock: Clock) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    zone, watch = _begun(port, *hosts)
    watch.verdicts["127.0.0.2"] = Verdict(False, needs=99)
    watch.round()
    # An apply without the first server puts the one that is down back, with another TTL.
    zone.records = record_sets(NAME, hosts[1:], 300)
    for _ in range(3):
        clock.wait()
        watch.round()
        assert "127.0.0.1" not in zone.addresses
    assert [*watch.taken_out] == ["server0"]
    assert zone.records == record_sets(NAME, hosts[2:], 60)


def test_failover_goes_on_while_a_removal_is_unconfirmed(port: int, clock: Clock) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    zone, watch = _begun(port, *hosts)
    zone.records = record_sets(NAME, hosts[1:], 60)
    clock.wait()
    watch.round()
    watch.verdicts["127.0.0.2"] = Verdict(False, needs=99)
    clock.wait(1)
    watch.round()
    assert zone.addresses == {"127.0.0.3"}
    # It may still be used if no other one works.
    watch.verdicts["127.0.0.3"] = Verdict(False, needs=99)
    watch.round()
    assert zone.addresses == {"127.0.0.1"}
    clock.wait()
    watch.round()
    assert not watch.taken_out


def test_a_server_that_failover_itself_removed_comes_back(port: int, clock: Clock) -> None:
    zone, watch = _begun(port, "127.0.0.1", "127.0.0.2")
    # The provider reports a failure, but makes the change.
    watch.verdicts["127.0.0.1"] = Verdict(False, needs=2)
    zone.fault_of_write = "the API is down"
    watch.round()
    assert zone.addresses == {"127.0.0.2"}
    zone.fault_of_write = ""
    for _ in range(2):
        clock.wait()
        watch.round()
    assert zone.addresses == {"127.0.0.1", "127.0.0.2"}
    assert not watch.taken_out


def test_a_server_that_a_write_made_in_part_removed_comes_back(port: int, clock: Clock) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    zone, watch = _begun(port, *hosts)
    watch.verdicts["127.0.0.1"] = Verdict(False, needs=2)
    watch.verdicts["127.0.0.2"] = Verdict(False, needs=99)
    zone.fault_of_write = "the API is down"
    watch.round()
    zone.fault_of_write = ""
    zone.records = record_sets(NAME, hosts[1:], 60)
    for _ in range(3):
        watch.round()
        clock.wait()
    assert zone.addresses == {"127.0.0.1", "127.0.0.3"}
    assert not watch.taken_out


def test_the_record_is_never_emptied(port: int, clock: Clock) -> None:
    zone, watch = _begun(port, "127.0.0.1", "127.0.0.2")
    # Others take out the server that works, while the other one is down.
    zone.records = record_sets(NAME, ["127.0.0.2"], 60)
    watch.verdicts["127.0.0.2"] = Verdict(False, needs=9)
    for _ in range(3):
        clock.wait()
        watch.round()
    assert zone.addresses == {"127.0.0.1"}
    assert not watch.taken_out


def test_a_server_that_another_failover_removed_comes_back(port: int, clock: Clock) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    zone, watch = _begun(port, *hosts)
    watch.verdicts["127.0.0.1"] = Verdict(False, needs=3)
    zone.records = record_sets(NAME, hosts[1:], 60)
    for _ in range(2):
        clock.wait()
        watch.round()
    assert not watch.taken_out
    assert zone.addresses == {*hosts[1:]}
    # It works again, and the other one does not put it back.
    watch.round()
    assert zone.addresses == {*hosts}


@dataclass
class Clock:
    """The watch's clock, instead of the module :mod:`time`; tests put it forward."""

    ahead: float = 0.0

    def wait(self, seconds: float = 61) -> None:
        """Put it forward, by more than a minute for the record to be read again."""
        self.ahead += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def time(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The watch's clock."""
    clock = Clock()
    monkeypatch.setattr("moorage.failover.watch.time", clock)
    return clock


def test_a_registry_that_does_not_respond_times_out() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as silent:  # accepts, never answers
        fault = find_fault(Registry(NAME, silent.server_address[1], tls=True), "127.0.0.1", 0.3)

    assert fault == "no answer within 0.3 s"


def test_a_failover_task_survives_serialization() -> None:
    task = Task(
        NAME,
        (Watched("a", "192.0.2.1"),),
        Registry(NAME, 8443, authority="PEM"),
        Rules(5, 2, 3),
        30,
        ("192.0.2.9",),
    )

    assert task_from_json(task_as_json(task)) == task
