"""Every fault at every step of a run: the registry serves on, and the next apply converges.

`make faults` tries all of them, on servers of several kinds, and prints a table each; otherwise a
few on one server stand for the others. MOORAGE_ALL_FAULTS may also be a pattern for what is tried,
such as "two servers switch".
"""

from __future__ import annotations

import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from explained import explained
from fault_injection import (
    Breakpoint,
    end_run,
    fill_disk,
    fill_inodes,
    install_wrappers,
    leave_small_disk,
    leftovers,
    make_room,
    next_command,
    put_on_small_disk,
    record_of,
    steps,
    wait_at_steps,
)
from operator_at_work import DOMAIN, Operator
from test_several_servers import s3_storage

from bench.slow_pulls import SlowPulls, push_blob
from lab import LabServer
from lab.machine import say
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.status.status import ServerStatus, how_it_ended, status_of
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.errors import MoorageError

CHOSEN = os.environ.get("MOORAGE_ALL_FAULTS", "")
ALL = bool(CHOSEN)
FULL = ("disk full", "inodes full")
ENDS: Mapping[str, set[str]] = {
    # How a run may end; it may be done where what went wrong is nothing that a server needs.
    "disk full": {"failed", "done"},
    "inodes full": {"failed", "done"},
    "fails": {"failed", "done"},
    "hangs": {"failed", "done"},
    "cancel": {"cancelled"},
    "stop": {"cancelled"},
    "cable cut": {"lost", "done"},
    "moorage killed": {"lost"},
    "kill -9": {"interrupted"},
    "crash": {"lost"},
}
SAID = {"hangs": "did not end within", "disk full": "no space", "inodes full": "no inodes"}
"""What a run that failed says of it."""
TOO_LONG = 240
"""Seconds until a fault is over and the next apply has put right what it left."""
FIRST_RUN_ONLY = ("packages", "account")
USUAL = tuple(
    step
    for step in steps()
    if step not in {"wait", *FIRST_RUN_ONLY, "image", "certificate", "prove"}
)
"""Steps that every later run has."""
OF_AN_ENGINE = ("image", "version", "registry", "drain", "rollback")
KINDS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # What the servers have already, and the steps. Only on a bare one is there anything to install.
    "package": ("bare" if ALL else "ready", (), (*FIRST_RUN_ONLY, "wait", *USUAL)),
    "docker": ("ready", ("docker.io",), OF_AN_ENGINE),
    "podman": ("ready", ("podman",), OF_AN_ENGINE),
    "acme": ("ready", ("certbot",), ("certificate", "rollback")),
    "two servers": ("ready", (), USUAL),
}
FEW = {
    ("switch", "fails"), ("nginx-files", "cancel"), ("registry", "cable cut"),
    ("record", "kill -9"), ("switch", "crash"),
}  # fmt: skip
"""Full disks, programs that hang and a killed Moorage have tests of their own."""
HOOK = '#!/bin/sh\n[ "$MOORAGE_EVENT" != after_apply ] || [ ! -e /run/hook-fails ]\n'
"""Makes a run roll back, which is a step like others."""


@dataclass
class Stage:
    """Servers with one deployment, which changes for each fault; faults meet them in turn.

    Args:
        parts: What the answers say, besides the usual, after so many changes.
    """

    operator: Operator
    servers: Sequence[LabServer]
    parts: Callable[[int], dict[str, Any]]
    changes: int = 0
    answers: Answers = field(init=False)
    kept: str | None = None
    is_on_small_disk: bool = False

    def __post_init__(self) -> None:
        self.hook = self.operator.home / "hook"
        self.hook.write_text(HOOK)
        self.change()

    @property
    def server(self) -> LabServer:
        """The one that the next fault meets."""
        return self.servers[self.changes % len(self.servers)]

    def change(self) -> None:
        """Wish for something that takes the other slot."""
        self.changes += 1
        level = ("debug", "warn")[self.changes % 2]
        hook = {"name": "hook", "script": str(self.hook), "when": ["before_apply", "after_apply"]}
        parts = self.parts(self.changes)
        registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
        registry |= parts.pop("registry", {})
        hooks = [hook | {"timeout": 5}]
        self.answers = self.operator.answers(self.servers, registry=registry, hooks=hooks, **parts)

    def prepare(self, step: str, fault: str) -> None:
        """Have the servers as they are before a fault meets a step."""
        is_first = step in FIRST_RUN_ONLY
        if is_first:
            self.operator.passwords.clear()
            self.server.reset()
            self.kept, self.is_on_small_disk = None, False
        must_move = self.is_on_small_disk != (fault in FULL)
        for machine in self.servers:
            if must_move:
                leave_small_disk(machine) if self.is_on_small_disk else put_on_small_disk(machine)
            if self.kept is None:
                install_wrappers(machine)
        self.is_on_small_disk = fault in FULL
        if not is_first and (must_move or self.kept is None):
            self.install()

    def install(self) -> None:
        """Apply, and push what has to be there from then on."""
        self.operator.install(self.answers)
        if self.kept is None:
            # Nobody here trusts an authority that is not Moorage's own.
            client = self._client()
            self.kept = push_blob(client, 4096) if client.ca_certificate else "/v2/"
        self.change()

    def _client(self) -> RegistryClient:
        authority = next(self.operator.home.glob("state/ca/*/ca.pem"), None)
        roots = authority.read_bytes() if authority else None
        password = Secret(self.operator.passwords["ci"])
        return RegistryClient(self.server.address, 443, DOMAIN, True, roots, "ci", password)

    @contextmanager
    def slot_in_use(self) -> Iterator[None]:
        """Let somebody pull from the slot that the next run wants to start."""
        client = self._client()
        with SlowPulls(client, push_blob(client, 48 * 1024**2), 1, 100_000) as pulls:
            end = time.monotonic() + 60
            while pulls.statuses != [200] and time.monotonic() < end:
                time.sleep(0.1)
            self.install()
            yield

    def serves(self, server: LabServer, seconds: float = 0) -> bool:
        """Whether somebody who logs in is let in, and gets what was pushed, now or soon."""
        end = time.monotonic() + seconds
        while True:
            # The store may be asked instead.
            if self.operator.status(server, self.kept or "/v2/") in {200, 307}:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(0.3)

    def statuses(self) -> dict[str, ServerStatus]:
        """How each server is, by address, when nothing goes on any more."""
        with self.operator.open(self.answers) as deployment:
            deployment.attach(deployment.probe())
            return {each.server: status_of(each) for each in deployment.probe()}

    def apply(self) -> dict[str, str]:
        """Apply; return how it ended on each server, by address."""
        try:
            report = self.operator.apply(self.answers).report
        except MoorageError:
            return {}
        return {each.server: each.status for each in report.servers}


@contextmanager
def _fault(stage: Stage, step: str, fault: str) -> Iterator[tuple[Breakpoint, Callable[[], Any]]]:
    """Let a fault meet a step of what is called meanwhile: what applies."""
    server, operator = stage.server, stage.operator
    engine = stage.answers.registry.runtime
    programs = {"image": f"{engine} load", "certificate": "certbot"}
    if engine != "package":
        programs["version"] = f"{engine} run"
    program = programs.get(step, "any")
    process = multiprocessing.get_context("fork").Process(
        target=lambda: operator.apply(stage.answers)
    )

    def cancel(point: Breakpoint) -> None:
        assert operator.applying is not None
        operator.applying.abort()
        point.wait_for_word("abort")

    def cut(point: Breakpoint) -> None:
        server.cut()
        mending = threading.Timer(8, server.reconnect)
        mending.start()
        on_the_way.callback(mending.join)

    acts: dict[str, Callable[[Breakpoint], Any]] = {
        "disk full": lambda point: fill_disk(server),
        "inodes full": lambda point: fill_inodes(server),
        "fails": lambda point: next_command(server, "fail", program),
        "hangs": lambda point: next_command(server, "hang", program),
        "cancel": cancel,
        "stop": lambda point: end_run(server),
        "cable cut": cut,
        "moorage killed": lambda point: process.kill(),
        "kill -9": lambda point: point.kill_run(),
        "crash": lambda point: server.crash(),
    }

    def apply_and_die() -> dict[str, str]:
        process.start()
        process.join()
        return {each.address: "lost" for each in stage.servers}

    with ExitStack() as on_the_way:
        pulls = on_the_way.enter_context(ExitStack())
        if step == "wait":
            pulls.enter_context(stage.slot_in_use())

        def act(point: Breakpoint) -> None:
            acts[fault](point)
            pulls.close()

        if fault == "hangs":
            limits = on_the_way.enter_context(pytest.MonkeyPatch.context())
            for limit in ("STEP_SECONDS", "LONG_STEP_SECONDS"):
                limits.setattr(f"moorage.deploy.run.payload.{limit}", 8)
        point = on_the_way.enter_context(Breakpoint(server, step, act))
        if step == "rollback":
            server.run("touch /run/hook-fails")
        yield point, apply_and_die if fault == "moorage killed" else stage.apply


def _try(stage: Stage, step: str, fault: str) -> str:
    """Let a fault meet a step; return how the run ended and what is wrong afterwards."""
    operator, server = stage.operator, stage.server
    began = time.monotonic()
    with _fault(stage, step, fault) as (point, apply):
        before = {each.address: record_of(each) for each in stage.servers}
        ended = apply()
    if fault == "crash":
        server.start()
    wrong = []
    if not point.was_hit:
        wrong.append("no such step")
    elif ended.get(server.address) not in _may_end(step, fault):
        wrong.append("it must not end like that")
    if step not in FIRST_RUN_ONLY:
        wrong += _do_not_serve(stage, "", 20 if fault == "crash" else 1)
    why = "" if step == "rollback" else SAID.get(fault, "")
    try:
        for address, status in stage.statuses().items():
            may_be = _may_be(stage, step, fault, ended.get(address, "lost"))
            wrong += _untrue(status, before[address], why, may_be)
    except MoorageError as error:
        wrong.append(f"status: {error.message}")
    server.run("rm -f /run/fault* /run/hook-fails")
    make_room(server)
    # What was made for a first run may be known to nobody: a password is made anew.
    wrong += _does_not_apply(stage, tries=2 if step in FIRST_RUN_ONLY else 1)
    if operator.passwords:
        wrong += _do_not_serve(stage, " after the next apply", 5)
    for status in stage.statuses().values():
        wrong += [f"afterwards: {each}" for each in explained(status)]
    wrong += [f"left: {each}" for machine in stage.servers for each in leftovers(machine)]
    if time.monotonic() - began > TOO_LONG:
        wrong.append("takes too long")
    stage.change()
    said = " ".join(ended[each.address] for each in stage.servers if each.address in ended)
    return f"{said}; {', '.join(wrong)}" if wrong else said


def _does_not_apply(stage: Stage, tries: int) -> Iterator[str]:
    """Apply once more; yield what is wrong with that."""
    for _ in range(tries):
        try:
            report = stage.operator.apply(stage.answers).report
        except MoorageError as error:
            said = [error.message]
            continue
        if report.is_good:
            if stage.operator.plan(stage.answers).has_changes:
                yield "does not converge"
            return
        said = [each.message for each in report.servers]
    yield f"next apply: {said}"


def _may_end(step: str, fault: str) -> set[str]:
    """Return how a run may end on the server that a fault meets."""
    ends = set(ENDS[fault])
    # From its record on it is not cancelled any more, and what stops a unit takes a moment.
    if step == "drain" or (fault == "stop" and step in {"check", "hooks-after", "record"}):
        ends |= {"done"} if fault in {"cancel", "stop"} else set()
    if step == "rollback" and fault not in {"kill -9", "crash", "moorage killed"}:
        ends |= {"failed"}
    return ends


def _may_be(stage: Stage, step: str, fault: str, ended: str) -> set[str]:
    """Return what status may say of a run that ended like that for the operator."""
    if (ended, step) == ("interrupted", "drain") or (fault, step) == ("crash", "drain"):
        # All is in force and recorded by then.
        return {"done"}
    if ended != "lost":
        return {ended}
    if fault == "crash":
        return {"interrupted"}
    # It goes on by itself, but with others only when they have staged, too.
    return {"done"} | ({"failed"} if step == "rollback" or len(stage.servers) > 1 else set())


def _do_not_serve(stage: Stage, when: str, seconds: float) -> list[str]:
    return [
        f"{each.hostname} does not serve{when}"
        for each in stage.servers
        if not stage.serves(each, seconds)
    ]


def _untrue(status: ServerStatus, before: str, why: str, may_be: set[str]) -> Iterator[str]:
    """Yield what a server's status has wrong, right after the fault."""
    run = status.run
    if run is None or run.running:
        yield f"status: no run has ended ({run})"
        return
    how = how_it_ended(run)
    if how not in may_be:
        yield f"status: the run is {how}, must be {' or '.join(sorted(may_be))}"
    said = [each for each in explained(status) if not re.search("MiB of|files .inodes.", each)]
    if how == "done" and said:
        yield f"status: {said}"
    if how in {"failed", "interrupted"} and not any(
        each.startswith("The last run") for each in said
    ):
        yield "status: not a word of the run"
    if how == "failed" and why not in run.message:
        yield f"not said why: {run.message}"
    if how in {"failed", "cancelled"} and status.deployed_at not in before:
        yield "status: it counts as deployed"
    if how == "cancelled" and status.drifted:
        yield f"not rolled back: {status.drifted}"


def _parts(
    kind: str,
    machines: Sequence[LabServer],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
) -> Callable[[int], dict[str, Any]]:
    """Return what the answers of a kind say, by the number of the change."""
    if kind == "two servers":
        storage = s3_storage(request.getfixturevalue("s3"), monkeypatch)
        return lambda changes: {"storage": storage}
    if kind == "acme":
        authority = request.getfixturevalue("authority")
        authority.set_addresses(DOMAIN, machines[0].address)
        acme = {
            "email": "ops@example.com",
            "directory": authority.directory,
            "ca_file": str(authority.ca_file),
        }
        kinds = ("rsa", "ecdsa")
        # Another kind of key is another certificate.
        return lambda changes: {
            "ssl": {"mode": "acme", "acme": acme | {"key_type": kinds[changes % 2]}}
        }
    if kind in {"docker", "podman"}:
        archive = request.getfixturevalue("registry_image").read_bytes()
        for number in range(2):
            # The same image in another archive.
            (folder / f"image{number}.tar").write_bytes(archive + bytes(10240 * number))
        registry = {"runtime": kind, "image": "docker.io/library/registry:2.8"}
        return lambda changes: {
            "registry": registry | {"image_archive": str(folder / f"image{changes % 2}.tar")}
        }
    return lambda changes: {}


def _cells(kind: str) -> list[tuple[str, str]]:
    """List what is tried with a kind: first runs, then what needs a small disk, then the rest."""
    cells = [(step, fault) for fault in ENDS for step in KINDS[kind][2]]
    cells.sort(key=lambda each: each[0] not in FIRST_RUN_ONLY)
    if ALL:
        return [
            each for each in cells if CHOSEN == "1" or re.search(CHOSEN, " ".join((kind, *each)))
        ]
    return [each for each in cells if each in FEW]


def _show(kind: str, table: Mapping[tuple[str, str], str]) -> None:
    """Print a table: steps down, faults across."""
    faults = [each for each in ENDS if any(fault == each for _, fault in table)]
    lines = [f"{kind:13}" + "".join(f"{each:22}" for each in faults)]
    for step in [each for each in steps() if any(step == each for step, _ in table)]:
        line = f"{step:13}"
        for fault in faults:
            end, mark, _ = table.get((step, fault), "").partition(";")
            line += f"{end + ('  !' if mark else ''):22}"
        lines.append(line)
    say("\n".join(lines))


@pytest.mark.parametrize("kind", KINDS if ALL else ["package"])
def test_every_fault_at_every_step(
    kind: str,
    operator: Operator,
    servers: Any,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("moorage.deploy.run.hooks.GATE_SECONDS", 20)
    wait_at_steps(monkeypatch)
    cells = _cells(kind)
    if not cells:
        pytest.skip("none of it is chosen")
    variant, extra, _ = KINDS[kind]
    machines = servers(2 if kind == "two servers" else 1, variant=variant, extra=extra)
    stage = Stage(operator, machines, _parts(kind, machines, request, monkeypatch, tmp_path))
    table: dict[tuple[str, str], str] = {}
    for step, fault in cells:
        stage.prepare(step, fault)
        began = time.monotonic()
        table[step, fault] = _try(stage, step, fault)
        say(f"{step:12} {fault:14} {time.monotonic() - began:4.0f} s  {table[step, fault]}")
    _show(kind, table)
    bad = {key: found for key, found in table.items() if ";" in found}
    assert not bad, bad
