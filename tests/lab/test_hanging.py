"""A program that never ends: it is ended, the run rolls back, and the registry serves on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import Event, StepBegan
from moorage.deploy.run.report import ServerReport
from moorage.errors import ServersFailed

NGINX = "/usr/local/sbin/nginx"
UNTIL_IT_HANGS = "until grep -qs '0[.]25' /proc/[0-9]*/cmdline; do sleep 0.02; done"
UNTIL_IT_ROLLS_BACK = (
    "cd /var/lib/moorage/runs && until grep -qs '^rolling back' \"$(ls -d * | tail -n 1)/log\"; "
    "do sleep 0.02; done"
)
# A rollback may start it before the test lets it end.
HANGS = '#!/bin/sh\nwhile [ -e /run/hangs ]; do sleep 0.25; done\nexec /usr/sbin/nginx "$@"\n'
SYSTEMCTL = "/usr/local/bin/systemctl"
ANSWERS_NOTHING = '#!/bin/sh\n[ "$1" = show ] || exec /usr/bin/systemctl "$@"\n'


@pytest.mark.deployed
def test_a_hanging_program_is_killed_on_timeout_and_on_abort(
    operator: Operator, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.deploy.run.payload.STOP_SECONDS", 5)
    registry = {"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    answers = operator.answers([server], registry=registry)

    def apply(stop: Callable[[Deployment], object]) -> ServerReport:
        """Apply while nginx hangs, and do something about it."""

        def take(event: Event) -> None:
            if not isinstance(event, StepBegan):
                return
            if event.step == "registry":
                server.write_file(NGINX, HANGS, mode=0o755)
                server.run("touch /run/hangs")
            elif event.step == "nginx-files":
                threading.Thread(target=stop, args=(deployment,)).start()
            elif event.step == "rollback":
                server.run("rm /run/hangs")

        with operator.open(answers, take) as deployment:
            [report] = deployment.apply(deployment.plan()).servers
        assert operator.status(server) == 200
        return report

    with monkeypatch.context() as limits:
        limits.setattr("moorage.deploy.run.payload.STEP_SECONDS", 5)
        ended = apply(lambda deployment: None)
    assert (ended.status, ended.step) == ("failed", "nginx-files")
    assert "nginx did not end within" in ended.message

    # Long before the limit.
    assert apply(lambda deployment: deployment.abort()).status == "cancelled"
    stopped = apply(lambda deployment: server.run("systemctl stop 'moorage-run-*'", timeout=60))
    assert stopped.status == "cancelled"

    # Signals, as from a closed terminal: the run rolls back, and says so.
    for signal in ("HUP", "INT"):
        kill = f"{UNTIL_IT_HANGS}; systemctl kill --signal={signal} 'moorage-run-*'"
        ended = apply(lambda deployment, kill=kill: server.run(kill))  # type: ignore[misc]
        assert (ended.status, ended.code) == ("cancelled", "run_cancelled"), signal

    # A second signal does not end the rollback that the first one began.
    def stop_twice(deployment: Deployment) -> None:
        server.run(f"{UNTIL_IT_HANGS}; systemctl kill --signal=TERM 'moorage-run-*'")
        server.run(f"{UNTIL_IT_ROLLS_BACK}; systemctl kill --signal=TERM 'moorage-run-*'")

    ended = apply(stop_twice)
    assert (ended.status, ended.code) == ("cancelled", "run_cancelled")
    assert not operator.plan(operator.answers([server])).has_changes
    server.run(["rm", NGINX])

    # And what was cancelled before it began does not begin.
    with operator.open(answers) as deployment:
        plan = deployment.plan()
        deployment.abort()
        assert deployment.apply(plan).servers[0].status == "cancelled"

    # A systemd that says nothing is not taken for one where nothing runs.
    server.write_file(SYSTEMCTL, ANSWERS_NOTHING, mode=0o755)
    with pytest.raises(ServersFailed, match="systemctl does not answer"):
        operator.plan(answers)
    server.run(["rm", SYSTEMCTL])

    operator.install(answers)
    assert not operator.plan(answers).has_changes
