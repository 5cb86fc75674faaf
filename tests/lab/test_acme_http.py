"""Certificates by ACME, proved on port 80: one server, three servers, renewals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from acme_answers import by_acme, renew
from explained import explained
from handshake import handshake, next_certificate, served_certificate
from operator_at_work import DOMAIN, Operator
from test_several_servers import s3_storage
from traffic import Traffic

from lab import LabServer
from lab.acme import ACCOUNT_HMAC, ACCOUNT_KEY_ID, AcmeAuthority, start_authority
from lab.machine import say
from lab.services import ObjectStore
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.status.status import status_of
from moorage.deploy.verify.registry_client import RegistryClient

READY = pytest.mark.ready("certbot")
"""For those that are not about the installation, which takes a quarter of a minute."""


def _roots(authority: AcmeAuthority, folder: Path) -> Path:
    file = folder / "roots.pem"
    file.write_bytes(authority.roots())
    return file


def test_one_server_gets_its_certificate(
    operator: Operator, server: LabServer, authority: AcmeAuthority, tmp_path: Path
) -> None:
    authority.set_addresses(DOMAIN, server.address)
    answers = by_acme(operator, [server], authority)

    outcome = operator.install(answers, verify=True)

    assert "certificate" in outcome.steps
    said = handshake(server, _roots(authority, tmp_path))
    assert "Verify return code: 0 (ok)" in said
    assert said.count("BEGIN CERTIFICATE") >= 2
    assert server.run("systemctl is-active certbot.timer").stdout.strip() == "active"
    assert server.run("stat -c %a /etc/moorage/acme/certbot.ini").stdout.strip() == "600"
    assert not operator.plan(answers).has_changes

    # Another kind of key is another certificate; the timer's renewal keeps it.
    rsa = by_acme(operator, [server], authority, {"key_type": "rsa"})
    operator.install(rsa)
    assert "Public-Key: (2048 bit)" in handshake(server, None, "-text") or (
        "RSA" in server.run(["openssl", "x509", "-noout", "-text", "-in",
                             "/etc/nginx/moorage/tls/fullchain.pem"]).stdout
    )  # fmt: skip
    assert not operator.plan(rsa).has_changes

    # Another mode: nothing of ACME is left, and back again.
    operator.install(operator.answers([server]))
    assert server.run("ls /etc/moorage/acme /etc/letsencrypt/renewal", check=False).stdout.count(
        "moorage.conf"
    ) == 0  # fmt: skip
    server.run("certbot -q renew")
    operator.install(answers)
    assert "Verify return code: 0 (ok)" in handshake(server, _roots(authority, tmp_path))


@READY
def test_an_account_that_exists_already_is_used(
    operator: Operator, server: LabServer, lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = start_authority(lab, tmp_path / "authority", requires_account=True)
    authority.set_addresses(DOMAIN, server.address)
    operator.leaks.add(ACCOUNT_HMAC, ("/etc/moorage/acme/certbot.ini",), label="the account's HMAC")
    monkeypatch.setenv("EAB_HMAC", ACCOUNT_HMAC)
    try:
        refused = operator.apply(by_acme(operator, [server], authority))
        assert not refused.report.is_good
        account = {"kid": ACCOUNT_KEY_ID, "hmac": {"env": "EAB_HMAC"}}
        answers = by_acme(operator, [server], authority, {"external_account": account})
        operator.install(answers)
        assert "Verify return code: 0 (ok)" in handshake(server, _roots(authority, tmp_path))
        assert not operator.plan(answers).has_changes
    finally:
        authority.stop()


@READY
def test_three_servers_behind_one_name(
    operator: Operator,
    servers: Any,
    authority: AcmeAuthority,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    machines = servers(3)
    authority.set_addresses(DOMAIN, *(machine.address for machine in machines))
    storage = s3_storage(s3, monkeypatch)
    answers = by_acme(operator, machines, authority, storage=storage)

    operator.install(answers, verify=True)

    trusted = _roots(authority, tmp_path)
    certificates = [served_certificate(machine) for machine in machines]
    assert len(set(certificates)) == 3
    for machine in machines:
        assert "Verify return code: 0 (ok)" in handshake(machine, trusted)
    assert not operator.plan(answers).has_changes

    # The name leads to the last one only; the first is renewed all the same.
    authority.set_addresses(DOMAIN, machines[2].address)
    renew(machines[0])
    next_certificate(machines[0], certificates[0])
    # What nobody has is not asked for in circles.
    missing = machines[0].run(
        ["bash", "-c",
         'exec 3<>/dev/tcp/$1/80; printf "GET /.well-known/acme-challenge/none HTTP/1.0\\r\\n'
         'Host: %s\\r\\n\\r\\n" "$2" >&3; head -n 1 <&3', "bash", machines[1].address, DOMAIN]
    ).stdout  # fmt: skip
    assert "404" in missing


@READY
def test_renewals_under_load_and_those_that_fail(
    operator: Operator, server: LabServer, authority: AcmeAuthority
) -> None:
    authority.set_addresses(DOMAIN, server.address)
    answers = by_acme(operator, [server], authority)
    operator.install(answers)
    _status_shows_renewals(operator, server, answers)
    _renewals_under_load_fail_no_request(operator, server, authority)
    _rejected_by_nginx(operator, server, answers)
    _refused_by_the_authority(operator, server, answers, authority)


def _status(operator: Operator, answers: Answers) -> Any:
    with operator.open(answers) as deployment:
        return status_of(deployment.probe()[0])


def _renewals_under_load_fail_no_request(
    operator: Operator, server: LabServer, authority: AcmeAuthority
) -> None:
    roots = authority.roots()
    password = Secret(operator.passwords["ci"])
    client = RegistryClient(server.address, 443, DOMAIN, True, roots, "ci", password)
    seen = [served_certificate(server)]
    with Traffic([client] * 4) as traffic:
        for _ in range(3):
            renew(server)
            seen.append(next_certificate(server, *seen))
    say(f"{traffic.count} pushes and pulls during 3 renewals, {len(traffic.failures)} failed")
    assert traffic.failures == []
    assert traffic.count > 10


def _status_shows_renewals(operator: Operator, server: LabServer, answers: Answers) -> None:
    server.run("systemctl start certbot.service")
    now = _status(operator, answers)
    assert now.is_healthy, explained(now)
    assert now.renewal.outcome == "not due"
    assert now.renewal.next_at is not None
    renew(server)
    now = _status(operator, answers)
    assert (now.renewal.outcome, explained(now)) == ("renewed", ())


def _refused_by_the_authority(
    operator: Operator, server: LabServer, answers: Answers, authority: AcmeAuthority
) -> None:
    before = served_certificate(server)
    authority.stop()
    renew(server, check=False)
    now = _status(operator, answers)
    assert now.renewal.outcome == "failed"
    assert any("The last renewal of the certificate" in fault for fault in explained(now)), (
        explained(now)
    )
    assert "Connection refused" in now.renewal.message
    assert served_certificate(server) == before

    server.run("systemctl disable --now certbot.timer")
    assert any(
        "certbot.timer is not running" in fault for fault in explained(_status(operator, answers))
    )


def _rejected_by_nginx(operator: Operator, server: LabServer, answers: Answers) -> None:
    before = served_certificate(server)
    server.write_file("/etc/nginx/conf.d/broken.conf", "nonsense;\n")

    renew(server, check=False)

    assert served_certificate(server) == before
    assert operator.status(server) == 200
    status = _status(operator, answers)
    assert status.renewal.outcome == "failed", status
    server.run("rm /etc/nginx/conf.d/broken.conf && nginx -t")
