"""A firewall between the operator and the registry is named at once."""

from __future__ import annotations

import time

from patience import slowness

from lab import LabServer
from lab.process import run_program
from moorage.answers.model import Answers
from moorage.deploy.verify.targets import Target
from moorage.deploy.verify.verify import verify


def test_a_firewall_that_drops_the_port_fails_one_check(shared_server: LabServer) -> None:
    # The server has no iptables of its own.
    inside = shared_server.enter_command("true")[:2]
    rule = ["INPUT", "-p", "tcp", "--dport", "443", "-j", "DROP"]
    answers = Answers.model_validate(
        {
            "registry": {"domain": "registry.example.test"},
            "servers": [{"host": shared_server.address}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        }
    )
    target = Target(shared_server.address, shared_server.address, 443)
    run_program([*inside, "--net", "iptables", "-I", *rule])
    started = time.monotonic()
    found = verify(answers, [target], user=None, password=None, ca_certificate=None)
    took = time.monotonic() - started
    run_program([*inside, "--net", "iptables", "-D", *rule])
    first, *others = found.checks
    assert first.status == "bad"
    assert "a firewall seems to drop it" in first.detail
    assert "Let TCP port 443 through" in first.detail
    assert {check.status for check in others} == {"skipped"}
    assert took < 25 * slowness()
