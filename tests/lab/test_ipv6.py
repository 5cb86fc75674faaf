"""Servers with IPv6: beside IPv4, and alone."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from moorage.answers.model import Answers

pytestmark = pytest.mark.ready


def _status(address: str, path: str, *words: str, scheme: str = "https") -> int:
    port = 443 if scheme == "https" else 80
    completed = subprocess.run(
        ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-m", "20", *words,
         "--resolve", f"{DOMAIN}:{port}:[{address}]", f"{scheme}://{DOMAIN}{path}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return int(completed.stdout or 0)


def _reached_at(answers: Answers, address: str) -> Answers:
    [server] = answers.servers
    return answers.model_copy(update={"servers": (server.model_copy(update={"address": address}),)})


def test_a_server_with_both_serves_both(operator: Operator, server: LabServer) -> None:
    address = server.add_ipv6()
    answers = operator.answers([server])

    operator.install(answers, verify=True)

    assert operator.plan(answers).has_changes is False
    assert _status(address, "/v2/") == 401
    assert _status(address, "/healthz") == 200
    assert _status(address, "/v2/", scheme="http") == 301
    with operator.open(_reached_at(answers, address)) as deployment:
        verification = deployment.verify(operator.plan(answers))
    assert [each for each in verification.checks if each.status == "bad"] == []


def test_a_server_with_ipv6_alone(operator: Operator, servers: Any) -> None:
    [server] = servers(names=["server"])
    address = server.add_ipv6(alone=True)
    login = {"host": address, "user": "root", "key": str(server.key)}
    answers = operator.answers([server], servers=[login])

    operator.install(answers, verify=True)

    assert operator.plan(answers).has_changes is False
    assert _status(address, "/v2/") == 401
