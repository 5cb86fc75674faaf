"""No apply interrupts a transfer: the slot that was left sends what it has begun, and stops."""

from __future__ import annotations

import pytest
from operator_at_work import DOMAIN, Operator
from waiting import wait_until

from bench.slow_pulls import SlowPulls, push_blob
from lab import LabServer
from moorage.answers.model import Answers
from moorage.deploy.events import Event, StepBegan
from moorage.deploy.plan.acceptance import Accepted
from moorage.deploy.status.status import status_of

pytestmark = pytest.mark.ready

SIZE = 48 * 1024**2
SLOWLY, AT_ONCE = 100_000, 1e9
"""Bytes per second: slowly enough for a transfer to last as long as a test needs it."""


def _logging(operator: Operator, server: LabServer, level: str) -> Answers:
    """Return answers that differ in the registry's configuration, so that an apply switches."""
    registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
    return operator.answers([server], registry=registry)


def _state(server: LabServer, unit: str) -> str:
    return server.run(["systemctl", "is-active", unit], check=False).stdout.strip()


def _files(server: LabServer) -> str:
    return server.run(
        "find /etc/moorage /etc/nginx /etc/systemd/system -type f -exec sha256sum {} + | sort"
    ).stdout


@pytest.mark.deployed
def test_a_run_stopped_after_recording_is_done(operator: Operator, server: LabServer) -> None:
    large = push_blob(operator.client(server), SIZE)

    def stop(event: Event) -> None:
        if isinstance(event, StepBegan) and event.step == "drain":
            server.run("systemctl stop 'moorage-run-*'")

    with SlowPulls(operator.client(server), large, 1, SLOWLY) as slow:
        wait_until(lambda: 0 not in slow.statuses)
        outcome = operator.apply(_logging(operator, server, "debug"), on_event=stop)
        [report] = outcome.report.servers
        assert report.status == "done", report
        assert _state(server, "moorage-drain-blue") == "active"


@pytest.mark.deployed
def test_a_slow_pull_outlasts_applies(
    operator: Operator, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.deploy.run.payload.RETIRE_SECONDS", 1)
    client = operator.client(server)
    blob = push_blob(client, SIZE)
    digest = blob.rpartition(":")[2]

    with SlowPulls(client, blob, 1, SLOWLY) as slow:
        wait_until(lambda: slow.received[0] > 0)
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
        wait_until(lambda: _state(server, "moorage-drain-blue") == "active")
        assert operator.plan(answers).servers[0].facts.draining[0].since == pytest.approx(
            there.since, abs=2
        )

        def end_transfer(event: Event) -> None:
            if isinstance(event, StepBegan) and event.step == "wait":
                slow.rate = AT_ONCE

        # The next switch needs the slot and waits.
        outcome = operator.install(_logging(operator, server, "info"), on_event=end_transfer)
        said = outcome.plan.servers[0].notes
        assert any("Slot blue" in note.text and "1 transfer " in note.text for note in said)
        assert "wait" in outcome.steps
        wait_until(lambda: bool(slow.digests or slow.failures))
        assert (slow.digests, slow.failures) == ([digest], [])
    assert _state(server, "moorage-registry@blue") == "active"
    assert _state(server, "moorage-registry@green") == "inactive"

    # A server that crashes has no transfers left, and does not start the slot again.
    with SlowPulls(client, blob, 1, SLOWLY) as slow:
        wait_until(lambda: slow.received[0] > 0)
        operator.install(answers)
        assert _state(server, "moorage-drain-blue") == "active"
        server.crash()
    server.start()
    wait_until(lambda: _state(server, "moorage-registry@green") == "active")
    assert _state(server, "moorage-registry@blue") == "inactive"
    assert operator.plan(answers).has_changes is False

    # Somebody may say that transfers do not matter.
    with SlowPulls(client, blob, 1, SLOWLY) as slow:
        wait_until(lambda: slow.received[0] > 0)
        operator.install(_logging(operator, server, "warn"))
        assert _state(server, "moorage-drain-green") == "active"

        # An apply that waits in vain changes nothing, and says what can be done.
        before = _files(server)
        with monkeypatch.context() as shorter:
            shorter.setattr("moorage.deploy.run.payload.WAIT_SECONDS", 2)
            failed = operator.apply(answers).report.servers[0]
        assert (failed.status, failed.step) == ("failed", "wait")
        assert (
            "slot green is still in use (transfers from before the last switch: 1)"
            in failed.message
        )
        assert failed.code == "transfers_in_the_way"
        assert _files(server) == before
        assert slow.failures == []
        assert _state(server, "moorage-drain-green") == "active"
        assert _state(server, "moorage-registry@blue") == "active"

        with operator.open(answers) as deployment:
            report = deployment.apply(deployment.plan(), Accepted(end_transfers=True))
        assert report.is_good, report
    assert _state(server, "moorage-drain-green") == "inactive"
    assert _state(server, "moorage-registry@green") == "active"

    # When the last transfer has ended, the slot stops by itself.
    with SlowPulls(client, blob, 1, SLOWLY) as slow:
        wait_until(lambda: slow.received[0] > 0)
        operator.install(_logging(operator, server, "error"))
        assert _state(server, "moorage-registry@green") == "active"
        slow.rate = AT_ONCE
        wait_until(lambda: bool(slow.digests or slow.failures))
        assert (slow.digests, slow.failures) == ([digest], [])
    wait_until(lambda: _state(server, "moorage-registry@green") == "inactive")
    assert server.run("ls /run/moorage-registry").stdout.split() == ["blue", "green"]
