"""Connections break, processes are killed, servers crash: the next apply converges."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator, inspect_digest, push

from lab import LabServer
from lab.image import build_small_image
from moorage.answers.model import Answers
from moorage.answers.save import save
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import Event, StepBegan

# Steps and the program each is held up in: before anything is placed, with everything placed and
# nginx not yet told, and after the switch.
STEPS = {"version": "docker-registry", "nginx-files": "nginx", "check": "openssl"}
KILL_RUN = "systemctl kill --signal=KILL 'moorage-run-*'"


def _hold_up(server: LabServer, program: str) -> None:
    """Make a program take its time when a run calls it."""
    real = server.run(["sh", "-c", f"command -v {program}"]).stdout.strip()
    server.write_file(
        f"/usr/local/sbin/{program}", f'#!/bin/sh\nsleep 4\nexec {real} "$@"\n', mode=0o755
    )


def _wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def _changed(operator: Operator, server: LabServer, level: str) -> Answers:
    """The same deployment with another log level: a switch of slots."""
    return operator.answers(
        [server], registry={"domain": DOMAIN, "settings": {"log": {"level": level}}}
    )


def _push_something(
    operator: Operator, server: LabServer, client: LabServer, tmp_path: Path
) -> str:
    operator.trust(client, server)
    operator.log_in(client)
    return push(client, build_small_image(tmp_path / "kept.tar", "kept:1"), "team/kept:1")


def _at_step(step: str, act: Callable[[], Any]) -> Callable[[Event], None]:
    """Do something, once, as soon as a run begins a step."""
    done = threading.Event()

    def take(event: Event) -> None:
        if isinstance(event, StepBegan) and event.step == step and not done.is_set():
            done.set()
            act()

    return take


def test_a_run_ends_by_itself_when_the_cable_is_cut(
    operator: Operator, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.servers.ssh.KEEPALIVE_SECONDS", 1, raising=False)
    answers = operator.answers([server])
    cutter = _at_step("packages", server.cut)

    mending = threading.Timer(8, server.mend)
    mending.start()
    outcome = operator.apply(answers, on_event=cutter)
    mending.join()

    [report] = outcome.report.servers
    if report.status == "lost":
        assert report.message
        with operator.open(answers) as deployment:
            facts = deployment.probe()
            deployment.attach(facts)
            facts = deployment.probe()
        assert facts[0].runs[-1].run_id == report.run_id
        assert facts[0].runs[-1].status == "done"
    else:
        assert report.status == "done"
    assert operator.status(server) == 200
    assert not operator.plan(answers).has_changes


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_run_converges(
    step: str, operator: Operator, server: LabServer, client: LabServer, tmp_path: Path
) -> None:
    operator.install(operator.answers([server]))
    digest = _push_something(operator, server, client, tmp_path)
    answers = _changed(operator, server, "debug")
    _hold_up(server, STEPS[step])

    outcome = operator.apply(answers, on_event=_at_step(step, lambda: server.run(KILL_RUN)))

    [report] = outcome.report.servers
    assert (report.status, report.step) == ("interrupted", step)
    server.run(f"rm /usr/local/sbin/{STEPS[step]}")
    with operator.open(answers) as deployment:
        [facts] = deployment.probe()
    assert not facts.runs[-1].running
    assert facts.runs[-1].step == step
    assert operator.status(server) == 200
    operator.install(answers)
    assert not operator.plan(answers).has_changes
    assert inspect_digest(client, f"{DOMAIN}/team/kept:1") == digest


@pytest.mark.parametrize("step", STEPS)
def test_a_crashed_server_converges(
    step: str, operator: Operator, server: LabServer, client: LabServer, tmp_path: Path
) -> None:
    operator.install(operator.answers([server]))
    digest = _push_something(operator, server, client, tmp_path)
    answers = _changed(operator, server, "debug")
    _hold_up(server, STEPS[step])

    outcome = operator.apply(answers, on_event=_at_step(step, server.crash))

    [report] = outcome.report.servers
    assert (report.status, report.step) == ("lost", step)
    server.start()
    server.wait_until_up()
    server.run(f"rm /usr/local/sbin/{STEPS[step]}")
    _wait_until(lambda: operator.status(server) == 200)
    operator.install(answers)
    assert not operator.plan(answers).has_changes
    assert inspect_digest(client, f"{DOMAIN}/team/kept:1") == digest


def test_a_cancelled_run_rolls_back(operator: Operator, server: LabServer) -> None:
    operator.install(operator.answers([server]))
    answers = _changed(operator, server, "debug")
    _hold_up(server, "nginx")
    deployments: list[Deployment] = []
    canceller = _at_step("nginx-files", lambda: deployments[0].abort())  # noqa: PLW0108 # it is filled later
    with operator.open(answers, canceller) as deployment:
        deployments.append(deployment)
        plan = deployment.plan()
        report = deployment.apply(plan)
        [facts] = deployment.probe()
    assert report.servers[0].status == "cancelled"
    assert facts.runs[-1].status == "cancelled"
    assert operator.status(server) == 200
    server.run("rm /usr/local/sbin/nginx")
    with operator.open(answers) as deployment:
        plan = deployment.plan()
        deployment.abort()
        assert deployment.apply(plan).servers[0].status == "cancelled"
    operator.install(answers)


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_moorage_leaves_the_run_to_itself(
    step: str, operator: Operator, server: LabServer
) -> None:
    operator.install(operator.answers([server]))
    answers = _changed(operator, server, "debug")
    file = operator.home / "moorage.yml"
    save(answers, file)
    _hold_up(server, STEPS[step])
    process = subprocess.Popen(
        [sys.executable, "-m", "moorage", "apply", str(file), "--yes", "--json", "--no-verify"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("step") == step:
            process.kill()
            break
    assert process.wait() == -signal.SIGKILL

    status = [sys.executable, "-m", "moorage", "status", str(file), "--follow"]
    followed = subprocess.run(status, capture_output=True, text=True, check=False)
    assert followed.returncode == 0, followed

    assert "level: debug" in server.read_file("/etc/moorage/registry/green/config.yml")
    assert not operator.plan(answers).has_changes
    assert operator.status(server) == 200


def test_two_applies_at_once_never_mix(operator: Operator, server: LabServer) -> None:
    operator.install(operator.answers([server]))
    first, second = _changed(operator, server, "debug"), _changed(operator, server, "warn")
    with operator.open(first) as one, operator.open(second) as two:
        plans = one.plan(), two.plan()
        reports: dict[str, Any] = {}
        threads = [
            threading.Thread(target=lambda: reports.update(first=one.apply(plans[0]))),
            threading.Thread(target=lambda: reports.update(second=two.apply(plans[1]))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    statuses = {name: report.servers[0].status for name, report in reports.items()}
    assert sorted(statuses.values())[0] == "done", reports
    loser = next(name for name, status in statuses.items() if status != "done")
    message = reports[loser].servers[0].message
    assert statuses[loser] in {"locked", "failed"}
    assert "is going on" in message or "changed by somebody else" in message
    assert operator.status(server) == 200
    winner = first if loser == "second" else second
    assert not operator.plan(winner).has_changes
