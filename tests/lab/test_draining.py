"""No apply interrupts a transfer: the slot that was left sends what it has begun, and stops."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from operator_at_work import DOMAIN, Operator

from bench.slow_pulls import SlowPulls, push_blob
from lab import LabServer
from lab.machine import say
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.accepted import Accepted
from moorage.deploy.registry_client import RegistryClient
from moorage.deploy.status import status_of

pytestmark = pytest.mark.ready

SIZE = 48 * 1024**2
RATE = 1_000_000


def _client(operator: Operator, server: LabServer) -> RegistryClient:
    authority = next((operator.home / "state" / "ca").glob("*/ca.pem")).read_bytes()
    password = Secret(operator.passwords["ci"])
    return RegistryClient(server.address, 443, DOMAIN, True, authority, "ci", password)


def _logging(operator: Operator, server: LabServer, level: str) -> Answers:
    """Return answers that differ in the registry's configuration, so that an apply switches."""
    registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
    return operator.answers([server], registry=registry)


def _wait(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.3)


def _state(server: LabServer, unit: str) -> str:
    return server.run(["systemctl", "is-active", unit], check=False).stdout.strip()


def test_a_slow_pull_outlasts_applies(operator: Operator, server: LabServer) -> None:
    operator.install(operator.answers([server]))
    client = _client(operator, server)
    blob = push_blob(client, SIZE)
    digest = blob.rpartition(":")[2]

    with SlowPulls(client, blob, 1, RATE) as slow:
        _wait(lambda: slow.received[0] > 0)
        answers = _logging(operator, server, "debug")
        operator.install(answers)
        assert slow.digests == slow.failures == []

        plan = operator.plan(answers)
        facts = plan.servers[0].facts
        assert not plan.has_changes
        there = status_of(facts).draining
        assert there is not None
        assert (there.slot, there.transfers) == ("blue", 1)
        assert abs(there.since - facts.clock) < 60
        assert status_of(facts).is_healthy
        assert _state(server, "moorage-registry@blue") == "active"
        # At the next start of the server it is not needed any more.
        enabled = server.run("systemctl is-enabled moorage-registry@blue", check=False)
        assert enabled.stdout.strip() == "disabled"

        # Whoever waits for the transfer may die.
        server.run("systemctl kill --signal=KILL moorage-drain-blue")
        _wait(lambda: _state(server, "moorage-drain-blue") == "active")
        assert operator.plan(answers).servers[0].facts.draining[0].since == pytest.approx(
            there.since, abs=2
        )

        # The next switch needs the slot and waits.
        outcome = operator.install(_logging(operator, server, "info"))
        said = outcome.plan.servers[0].notes
        say(said[-1])
        assert any("Slot blue" in note and "1 transfer " in note for note in said)
        assert "wait" in outcome.steps
        _wait(lambda: bool(slow.digests or slow.failures))
        assert slow.failures == []
        assert slow.digests == [digest]
    assert _state(server, "moorage-registry@blue") == "active"
    assert _state(server, "moorage-registry@green") == "inactive"


def test_a_slot_that_was_left_stops_by_itself(operator: Operator, server: LabServer) -> None:
    operator.install(operator.answers([server]))
    client = _client(operator, server)
    blob = push_blob(client, SIZE)

    with SlowPulls(client, blob, 1, 2 * RATE) as slow:
        _wait(lambda: slow.received[0] > 0)
        operator.install(_logging(operator, server, "debug"))
        _wait(lambda: bool(slow.digests or slow.failures))
        assert slow.digests == [blob.rpartition(":")[2]]
        assert slow.failures == []
    _wait(lambda: _state(server, "moorage-registry@blue") == "inactive")
    assert server.run("ls /run/moorage-registry").stdout.split() == ["blue", "green"]

    # Somebody may say that it does not matter.
    with SlowPulls(client, blob, 1, 100_000) as slow:
        _wait(lambda: slow.received[0] > 0)
        operator.install(_logging(operator, server, "warn"))
        began = time.monotonic()
        outcome = operator.install(
            _logging(operator, server, "error"), accepted=Accepted(end_transfers=True)
        )
        say(f"transfers were ended within {time.monotonic() - began:.0f} s")
        assert any("cut off" in note for note in outcome.plan.servers[0].notes)
        _wait(lambda: slow.received[0] > 0)
    assert _state(server, "moorage-drain-green") == "inactive"


def test_a_server_that_crashes_while_a_slot_drains(operator: Operator, server: LabServer) -> None:
    operator.install(operator.answers([server]))
    client = _client(operator, server)
    blob = push_blob(client, SIZE)
    answers = _logging(operator, server, "debug")
    with SlowPulls(client, blob, 1, 100_000) as slow:
        _wait(lambda: slow.received[0] > 0)
        operator.install(answers)
        assert _state(server, "moorage-drain-blue") == "active"
        server.crash()
    server.start()
    _wait(lambda: _state(server, "moorage-registry@green") == "active")
    assert _state(server, "moorage-registry@blue") == "inactive"
    assert operator.plan(answers).has_changes is False
    operator.install(_logging(operator, server, "info"))
    assert client.request("HEAD", blob).status == 200
