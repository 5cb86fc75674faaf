"""Servers with IPv6: beside IPv4, and alone."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from acme_answers import by_acme, renew
from operator_at_work import DOMAIN, Operator
from test_several_servers import s3_storage

from lab import Lab, LabServer
from lab.acme import start_authority
from lab.services import start_object_store
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


def test_a_dual_stack_server_serves_both_families(operator: Operator, server: LabServer) -> None:
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


def test_an_ipv6_only_server(operator: Operator, servers: Any) -> None:
    [server] = servers(names=["server"])
    address = server.add_ipv6(alone=True)
    login = {"host": address, "user": "root", "key": str(server.key)}
    answers = operator.answers([server], servers=[login])

    operator.install(answers, verify=True)

    assert operator.plan(answers).has_changes is False
    assert _status(address, "/v2/") == 401


def _certificate(server: LabServer) -> str:
    return server.run("cat /etc/nginx/moorage/tls/fullchain.pem").stdout


@pytest.mark.ready("certbot")
def test_acme_challenges_are_answered_over_ipv6(
    operator: Operator,
    servers: Any,
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A server with IPv6 alone and one with both, which ask each other over what they share."""
    six, both = servers(names=["six", "both"])
    address, addresses = six.add_ipv6(alone=True), (both.address, both.add_ipv6())
    look_up = socket.getaddrinfo

    def name_of_both(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        known = addresses if host == "both.example.test" else (host,)
        return [entry for each in known for entry in look_up(each, port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", name_of_both)
    logins = [
        {"host": address, "user": "root", "key": str(six.key)},
        {"host": both.address, "address": "both.example.test", "user": "root",
         "key": str(both.key)},
    ]  # fmt: skip
    store = start_object_store(lab, host=lab.gateway6)
    authority = start_authority(lab, tmp_path / "authority", host=lab.gateway6)
    try:
        authority.set_addresses(DOMAIN, *addresses)
        answers = by_acme(operator, [six, both], authority,
                          storage=s3_storage(store, monkeypatch), servers=logins)  # fmt: skip

        operator.install(answers, verify=True)

        assert _certificate(six) != _certificate(both)
        assert not operator.plan(answers).has_changes
        # Of a name with both kinds of records, the authority asks at the AAAA record's.
        asked = both.run("grep acme-challenge /var/log/nginx/access.log").stdout
        assert any(line.startswith(f"{lab.gateway6} ") for line in asked.splitlines())
        assert not any(line.startswith(f"{lab.gateway} ") for line in asked.splitlines())

        # And of each, what the other was given.
        for machine, asked_at in ((both, [address]), (six, addresses)):
            authority.set_addresses(DOMAIN, *asked_at)
            before = _certificate(machine)
            renew(machine)
            assert _certificate(machine) != before
    finally:
        authority.stop()
        store.stop()
