"""Every fault at every step of a run: the registry serves on, and the next apply converges.

`make faults` tries all of them and prints a table; otherwise a few stand for the others.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from fault_injection import (
    Meeting,
    fill_disk,
    fill_inodes,
    leftovers,
    make_room,
    meeting,
    next_command,
    put_on_small_disk,
    put_shims,
    steps,
)
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from lab.machine import say
from moorage.answers.model import Answers
from moorage.errors import MoorageError

ALL = bool(os.environ.get("MOORAGE_ALL_FAULTS"))
# Only on a bare server is there anything to install.
pytestmark = [] if ALL else [pytest.mark.ready]
FIRST_RUN_ONLY = ("packages", "account")
OTHER_DEPLOYMENTS = ("image", "certificate")
"""Steps of deployments with a container engine and with ACME, which are not made here."""
FAULTS = ("kill -9", "crash", "cable cut", "disk full", "inodes full", "fails", "hangs")
FEW = {("nginx-files", "kill -9"), ("record", "disk full"), ("record", "kill -9"),
       ("switch", "fails"), ("registry", "inodes full"), ("check", "hangs"),
       ("switch", "crash"), ("record", "crash"),
       ("check", "disk full")}  # fmt: skip


@dataclass
class Stage:
    """A server with a deployment that changes for each fault."""

    operator: Operator
    server: LabServer
    is_small: bool = False
    changes: int = 0
    answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Prepare a server that has just been booted."""
        if self.is_small:
            put_on_small_disk(self.server)
        put_shims(self.server)
        self.change()

    def change(self) -> None:
        """Wish for something that takes the other slot."""
        self.changes += 1
        level = ("debug", "warn")[self.changes % 2]
        registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
        self.answers = self.operator.answers([self.server], registry=registry)

    def serves(self, seconds: float = 0) -> bool:
        """Whether somebody who logs in is let in, now or soon."""
        end = time.monotonic() + seconds
        while True:
            if self.operator.status(self.server) == 200:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(0.3)


def _fault(stage: Stage, fault: str) -> Callable[[Meeting], None]:
    server = stage.server
    acts: dict[str, Callable[[Meeting], None]] = {
        "kill -9": lambda met: met.kill_run(),
        "crash": lambda met: server.crash(),
        "cable cut": lambda met: server.cut(),
        "disk full": lambda met: fill_disk(server),
        "inodes full": lambda met: fill_inodes(server),
        "fails": lambda met: next_command(server, "fail"),
        "hangs": lambda met: next_command(server, "hang"),
    }
    return acts[fault]


def _try(stage: Stage, step: str, fault: str) -> str:
    """Let a fault meet a step; return how the run ended and what is wrong afterwards."""
    operator, server = stage.operator, stage.server
    served = bool(operator.passwords) and stage.serves()
    ended = "not applied"
    with meeting(
        server, step, _fault(stage, fault), thaws=fault not in {"kill -9", "crash"}
    ) as met:
        mending = threading.Timer(8, server.mend)
        if fault == "cable cut":
            mending.start()
        with suppress(MoorageError):
            ended = operator.apply(stage.answers).report.servers[0].status
        mending.cancel()
    if not met.met:
        stage.change()
        return f"no such step ({ended})"
    wrong = []
    if fault == "crash":
        server.start()
    elif fault == "cable cut":
        server.mend()
        with operator.open(stage.answers) as deployment:
            deployment.attach(deployment.probe())
    if served and not stage.serves(20 if fault == "crash" else 1):
        wrong.append("does not serve")
    make_room(server)
    server.run("rm -f /run/fault*")
    for _ in range(2):
        # What was made for the first run may be known to nobody: a password is made anew.
        outcome = operator.apply(stage.answers)
        if outcome.report.is_good:
            break
    else:
        wrong.append(f"next apply: {outcome.report.servers[0].message}")
    if outcome.report.is_good and operator.plan(stage.answers).has_changes:
        wrong.append("does not converge")
    if not stage.serves(5) and operator.passwords:
        wrong.append("does not serve after the next apply")
    wrong += [f"left: {each}" for each in leftovers(server)]
    stage.change()
    return f"{ended}; {', '.join(wrong)}" if wrong else str(ended)


@pytest.mark.parametrize("faults", [("disk full", "inodes full"), FAULTS[:3] + FAULTS[5:]],
                         ids=["space", "others"])  # fmt: skip
def test_every_fault_at_every_step(
    faults: tuple[str, ...],
    operator: Operator,
    server: LabServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moorage.servers.ssh.KEEPALIVE_SECONDS", 1, raising=False)
    for limit in ("STEP_SECONDS", "LONG_STEP_SECONDS"):
        monkeypatch.setattr(f"moorage.deploy.payload.{limit}", 20)
    stage = Stage(operator, server, is_small="disk full" in faults)
    table: dict[tuple[str, str], str] = {}
    todo = [(s, f) for s in steps() for f in faults if s not in OTHER_DEPLOYMENTS]
    todo = [each for each in todo if ALL or each in FEW]
    for step, fault in [each for each in todo if each[0] in FIRST_RUN_ONLY]:
        stage.operator.passwords.clear()
        table[step, fault] = _try(stage, step, fault)
        say(f"{step:12} {fault:12} {table[step, fault]}")
        server.run("umount -l /etc/moorage /etc/nginx /var/lib/moorage /srv/small || true")
        server.reset()
        stage.begin()
    operator.install(stage.answers)
    stage.change()
    for step, fault in [each for each in todo if each[0] not in FIRST_RUN_ONLY]:
        table[step, fault] = _try(stage, step, fault)
        say(f"{step:12} {fault:12} {table[step, fault]}")
    bad = {key: found for key, found in table.items() if ";" in found or "no such" in found}
    assert not bad, bad
