"""Two servers roll back together, under load, and whatever meets one of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from fault_injection import Breakpoint, leftovers, steps, wait_at_steps
from operator_at_work import DOMAIN, Operator
from traffic import Traffic

from lab import LabServer
from lab.machine import say
from lab.services import ObjectStore
from moorage.answers.model import Answers
from moorage.deploy.lifecycle.kept import ServerDeployments, read_deployments
from moorage.deploy.lifecycle.rollback import choose, plan_rollback, revisions_kept
from moorage.deploy.plan.consequences import accepting
from moorage.deploy.record.deployment_json import active_slot
from moorage.deploy.run.report import ApplyReport
from moorage.desired import layout
from moorage.errors import ServersFailed

pytestmark = pytest.mark.ready

ALL = "MOORAGE_TEST_EVERY_ROLLBACK_FAULT"
"""Set it to kill and crash a rollback at every step."""
FEW = (("nginx-files", "crash"), ("record", "kill -9"))
NOT_HERE = {
    "wait",
    "prove",
    "packages",
    "account",
    "image",
    "certificate",
    "hooks-before",
    "hooks-after",
}


def _faults() -> Sequence[tuple[str, str]]:
    if ALL not in os.environ:
        return FEW
    every = [step for step in steps() if step not in {*NOT_HERE, "rollback"}]
    return [(step, fault) for step in every for fault in ("kill -9", "crash")]


def _roll_back(
    operator: Operator, answers: Answers, to: int | None = None
) -> tuple[Answers, ApplyReport]:
    with operator.open(answers) as deployment:
        rollback = choose(read_deployments(deployment), answers, to)
        with deployment.with_answers(rollback.answers) as there:
            plan = plan_rollback(there, rollback, there.probe())
            assert not plan.problems
            return rollback.answers, there.apply(plan, accepting(plan.consequences))


def _levels(operator: Operator, answers: Answers) -> list[str]:
    """Return the log level of each server's active slot."""
    with operator.open(answers) as deployment:
        found = []
        for facts in deployment.probe():
            slot = active_slot(facts)
            assert slot is not None
            config = facts.files[layout.config_path(slot)].content.decode()
            found.append(config.partition("level: ")[2].partition("\n")[0])
        return found


def _revision_with(every: Sequence[ServerDeployments], answers: Answers, level: str) -> int:
    """Return the latest revision with a log level that reached both servers."""
    for revision in revisions_kept(every):
        with suppress(ServersFailed):
            there = choose(every, answers, revision).answers
            if there.registry.settings["log"]["level"] == level:
                return revision
    raise AssertionError(f"no deployment with {level}")


def test_two_servers_roll_back_together(
    operator: Operator, servers: Any, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_at_steps(monkeypatch)
    machines: list[LabServer] = servers(2)
    monkeypatch.setenv("S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("S3_SECRET_KEY", s3.secret_key)
    storage = {
        "driver": "s3",
        "s3": {
            "bucket": s3.bucket, "region": s3.region, "regionendpoint": s3.endpoint,
            "accesskey": {"env": "S3_ACCESS_KEY"}, "secretkey": {"env": "S3_SECRET_KEY"},
            "secure": False,
        },
    }  # fmt: skip

    def wish(level: str) -> Answers:
        registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
        return operator.answers(machines, storage=storage, registry=registry)

    operator.install(wish("debug"))
    answers = wish("warn")
    operator.install(answers)
    clients = [operator.client(each) for each in machines]
    with Traffic(clients * 2) as traffic:
        answers, report = _roll_back(operator, answers)
    say(f"{traffic.count} pushes and pulls during a rollback, {len(traffic.failures)} failed")
    assert report.is_good, report
    assert report.revision == 3
    assert traffic.failures == []
    assert _levels(operator, answers) == ["debug", "debug"]
    assert answers.storage.s3 == wish("warn").storage.s3
    assert not operator.plan(answers).has_changes

    now, before, revision = "debug", "warn", 2
    for number, (step, fault) in enumerate(_faults()):
        server = machines[number % 2]

        def act(point: Breakpoint, fault: str = fault, server: LabServer = server) -> None:
            if fault == "crash":
                server.crash()
            else:
                point.kill_run()

        with Breakpoint(server, step, act) as point:
            _, report = _roll_back(operator, answers, revision)
        assert point.was_hit
        assert step == "drain" or not report.is_good, (step, fault, report)
        if fault == "crash":
            server.start()
        with operator.open(answers) as deployment:
            deployment.attach(deployment.probe())
        gone_back, report = _roll_back(operator, answers, revision)
        assert report.is_good, (step, fault, report)
        assert _levels(operator, gone_back) == [before, before]
        assert not operator.plan(gone_back).has_changes
        assert [left for machine in machines for left in leftovers(machine)] == []
        assert all(operator.status(machine) == 200 for machine in machines)
        say(f"{step}, {fault}: rolled back with the next one")
        now, before, answers = before, now, gone_back
        with operator.open(answers) as deployment:
            every = read_deployments(deployment)
        revision = _revision_with(every, answers, before)

    # A deployment whose files were modified is not restored, and one that a server lost neither.
    kept = f"{layout.DEPLOYMENTS}/*/files{layout.NGINX_SITE}"
    machines[0].run(f"for each in {kept}; do echo '# more' >>$each; done")
    with pytest.raises(ServersFailed, match="is damaged"):
        _roll_back(operator, answers)
    machines[1].run(f"rm -r {layout.DEPLOYMENTS}/*")
    with pytest.raises(ServersFailed, match="does not keep"):
        _roll_back(operator, answers, revision)
