"""Slots run kept copies of the registry's program, whatever happens to the package."""

from __future__ import annotations

import json
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator
from tcp_slots import listen_on_ports
from waiting import wait_until

from lab import LabServer
from moorage.answers.model import Answers
from moorage.deploy.status.status import status_of
from moorage.desired import layout

PACKAGED = "/usr/bin/docker-registry"
RECORD = "/etc/moorage/deployment.json"


def _answers(operator: Operator, server: LabServer, level: str) -> Answers:
    registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
    return operator.answers([server], registry=registry)


def running(server: LabServer) -> str:
    """Return the program that the only running registry runs."""
    return server.run("readlink /proc/$(pgrep -f '^/usr.*serve /etc/moorage')/exe").stdout.strip()


def _problems(operator: Operator, answers: Answers) -> dict[str, Any]:
    with operator.open(answers) as deployment:
        [facts] = deployment.probe()
    return {problem.code: problem for problem in status_of(facts).problems}


@pytest.mark.ready
def test_a_slot_from_before_keeps_what_its_process_runs(
    operator: Operator, server: LabServer
) -> None:
    answers = _answers(operator, server, "info")
    operator.install(answers)
    program = running(server)
    listen_on_ports(server)
    update = "/^Package: docker-registry$/,/^$/s/^Version: .*/Version: 2.9.9-1/"
    server.run(f"cp /bin/true /tmp/new && mv /tmp/new {PACKAGED}")
    server.run(f"sed -i '{update}' /var/lib/dpkg/status")
    assert server.run(f"ls {layout.PROGRAMS}", check=False).returncode != 0

    outcome = operator.install(answers)

    assert outcome.plan.servers[0].slot_to == "green"
    assert running(server) == program
    plan = operator.plan(answers)
    assert not plan.has_changes
    notes = [note.text for note in plan.servers[0].notes if note.code == "update_there"]
    assert notes == ["docker-registry 2.9.9-1 is installed; the registry still runs 2.8.2 until it "
                     "is upgraded."]  # fmt: skip


@pytest.mark.ready
def test_slots_keep_their_program_whatever_happens_to_the_package(
    operator: Operator, server: LabServer
) -> None:
    info, debug = (_answers(operator, server, level) for level in ("info", "debug"))
    operator.install(info)
    digest = server.run(f"sha256sum <{PACKAGED}").stdout.split()[0]
    kept = f"{layout.PROGRAMS}/{digest}"
    assert running(server) == kept
    installed = server.run("dpkg-query -W -f '${Version}' docker-registry").stdout

    # An update by apt: nothing changes, and the plan says what waits.
    server.run(f"cp {PACKAGED} /root/old && cp /bin/true /tmp/new && mv /tmp/new {PACKAGED}")
    update = "/^Package: docker-registry$/,/^$/s/^Version: .*/Version: 2.9.9-1/"
    server.run(f"sed -i '{update}' /var/lib/dpkg/status")
    plan = operator.plan(info)
    assert not plan.has_changes
    [note] = [note for note in plan.servers[0].notes if note.code == "update_there"]
    assert note.text.startswith(
        f"docker-registry 2.9.9-1 is installed; the registry still runs {installed}"
    )
    assert not _problems(operator, info)

    # Neither an apply that switches slots nor a crash or a reboot activates it.
    operator.install(debug)
    assert running(server) == kept
    assert json.loads(server.read_file(RECORD))["registry_program"] == {"package": installed}
    server.run("systemctl kill -s KILL moorage-registry@green")
    wait_until(lambda: operator.status(server) == 200)
    assert running(server) == kept
    server.crash()
    server.start()
    wait_until(lambda: operator.status(server) == 200)
    assert running(server) == kept

    # A lost or damaged program is noticed, and restored from the running process.
    for damage, what in (
        (f"rm {kept}", "missing"),
        (f"cp /bin/true {kept}.x && mv {kept}.x {kept}", "damaged"),
    ):
        server.run(damage)
        [problem] = _problems(operator, debug).values()
        assert (problem.code, problem.message.endswith(f"{kept} is {what}.")) == (
            "program_broken",
            True,
        )
        operator.install(debug)
        assert running(server) == kept
        assert not operator.plan(debug).has_changes
        assert not _problems(operator, debug)
    assert server.run(f"ls -A {layout.PROGRAMS}").stdout.split() == [digest]

    # A file system that programs cannot be executed on.
    folder = layout.PROGRAMS
    server.run(f"mount --bind {folder} {folder} && mount -o remount,bind,noexec {folder}")
    [report] = operator.apply(info).report.servers
    assert (report.status, report.code) == ("failed", "programs_not_executable")
    server.run(f"umount -l {folder}")
    assert operator.status(server) == 200

    # Without the running process and the same package, the installed one takes over.
    server.run(f"mv /root/old {PACKAGED} && printf x >>{PACKAGED}")
    server.run(f"systemctl stop moorage-registry@* && rm {kept}")
    [report] = operator.install(debug).report.servers
    assert "runs the installed docker-registry instead" in "".join(report.warnings)
    assert operator.status(server) == 200
    other = server.run(f"sha256sum <{PACKAGED}").stdout.split()[0]
    assert running(server) == f"{layout.PROGRAMS}/{other}"
