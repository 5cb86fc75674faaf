"""What keeps a certificate from being had: each ends in a clear error and a rolled-back server."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from acme_answers import by_acme
from handshake import served_certificate
from operator_at_work import DOMAIN, Operator
from refusing_authority import RefusingAuthority
from test_several_servers import s3_storage
from thorough import THOROUGH

from lab import Lab, LabServer
from lab.acme import AcmeAuthority, start_authority
from lab.services import ObjectStore
from moorage.errors import ServersFailed

pytestmark = pytest.mark.ready("certbot")


def _refused(operator: Operator, server: LabServer, authority: object, **acme: object) -> str:
    """Apply, insist that it fails and leaves nothing, and return the message."""
    answers = by_acme(operator, [server], authority, acme)  # type: ignore[arg-type]
    outcome = operator.apply(answers)
    report = outcome.report.servers[0]
    assert report.status == "failed", (report, outcome.log)
    assert report.step == "certificate"
    assert server.run("ls /etc/nginx/conf.d").stdout == ""
    assert server.run("ls /etc/nginx/moorage/tls", check=False).stdout == ""
    server.run("nginx -t")
    assert server.run("ls /etc/moorage/deployment.json", check=False).stdout == ""
    active = server.run("systemctl is-active moorage-registry@blue", check=False).stdout.strip()
    assert active in {"inactive", "failed"}
    return report.message


def test_refusals_are_explained_and_rolled_back(
    operator: Operator, shared_server: LabServer, authority: AcmeAuthority, lab: Lab, tmp_path: Path
) -> None:
    server = shared_server
    # The name does not resolve.
    message = _refused(operator, server, authority)
    assert DOMAIN in message, message

    # The authority does not answer.
    authority.stop()
    message = _refused(operator, server, authority)
    assert "Connection refused" in message, message

    # The CA file is missing, so the directory's certificate is not trusted.
    strange = start_authority(lab, tmp_path / "strange")
    try:
        message = _refused(operator, server, strange, ca_file=None)
        assert "certificate verify failed" in message.lower(), message
    finally:
        strange.stop()

    limit = "too many certificates (5) already issued for this exact set of domains in 168h"
    with RefusingAuthority(
        lab.gateway, tmp_path / "limit", kind="rateLimited", detail=limit, status=429
    ) as limiting:
        assert limit in _refused(operator, server, limiting)


@THOROUGH
def test_more_refusals_are_explained_and_rolled_back(
    operator: Operator, shared_server: LabServer, authority: AcmeAuthority, lab: Lab, tmp_path: Path
) -> None:
    server = shared_server
    # The name leads to a machine where nobody answers on port 80.
    authority.set_addresses(DOMAIN, lab.gateway)
    message = _refused(operator, server, authority)
    assert "refused" in message or "Fetching http" in message, message

    # The authority has the name on its list.
    blocking = start_authority(lab, tmp_path / "blocking", refused=(DOMAIN,))
    try:
        message = _refused(operator, server, blocking)
        assert "forbidden by policy" in message, message
    finally:
        blocking.stop()

    # The clocks of authority and server are far apart: its certificate is of the future.
    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    ahead = start_authority(lab, tmp_path / "ahead", directory_since=future)
    try:
        message = _refused(operator, server, ahead)
        assert "not yet valid" in message, message
    finally:
        ahead.stop()

    caa = f"CAA record for {DOMAIN} prevents issuance"
    with RefusingAuthority(lab.gateway, tmp_path / "caa", kind="caa", detail=caa) as forbidden:
        assert caa in _refused(operator, server, forbidden)


def test_a_port_80_in_use_is_found_before_the_run(
    operator: Operator, server: LabServer, authority: AcmeAuthority
) -> None:
    server.run("systemctl disable -q --now nginx")
    server.run(
        "systemd-run --unit=taker python3 -c 'import socket, time; s = socket.create_server"
        '(("0.0.0.0", 80)); time.sleep(600)\''
    )
    server.run("for i in $(seq 50); do ss -Hltn sport = :80 | grep -q . && exit 0; sleep .1; done")
    answers = by_acme(operator, [server], authority)
    with pytest.raises(ServersFailed, match="port 80 is taken by python3") as refused:
        operator.apply(answers)
    assert "using the DNS challenge" in str(refused.value)
    assert server.run("ls /etc/moorage", check=False).stdout == ""


def test_a_deployed_registry_keeps_its_certificate_when_acme_fails(
    operator: Operator, server: LabServer, authority: AcmeAuthority
) -> None:
    operator.install(operator.answers([server]))
    before = served_certificate(server)
    outcome = operator.apply(by_acme(operator, [server], authority))
    assert outcome.report.servers[0].step == "certificate"
    assert served_certificate(server) == before
    assert operator.status(server) == 200
    files = server.run("ls /etc/nginx/conf.d /etc/moorage").stdout.split()
    assert "acme" in files or "moorage.conf" in files
    # Going back to what was is no change but for what the failed run left in its folders.
    plan = operator.plan(operator.answers([server]))
    assert not any(change.kind == "file" for change in plan.servers[0].changes), plan.servers
    # When the name leads here, it works.
    authority.set_addresses(DOMAIN, server.address)
    operator.install(by_acme(operator, [server], authority))
    assert served_certificate(server) != before


def test_servers_that_cannot_reach_each_other_are_reported_before_the_ca_is_contacted(
    operator: Operator,
    servers: Any,
    authority: AcmeAuthority,
    s3: ObjectStore,
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moorage.deploy.run.payload.PEER_SECONDS", 10)
    machines = servers(2)
    authority.set_addresses(DOMAIN, *(machine.address for machine in machines))
    listed = [
        {"host": machine.address, "user": "root", "key": str(machine.key)} for machine in machines
    ]
    # Nobody answers on port 80 at the address clients shall use for the second one.
    listed[1]["address"] = lab.gateway
    answers = by_acme(
        operator, machines, authority, servers=listed, storage=s3_storage(s3, monkeypatch)
    )

    outcome = operator.apply(answers)

    # Neither hands on what the other was given: the first to notice stops both.
    failed = [report for report in outcome.report.servers if report.status == "failed"]
    assert failed
    assert {each.code for each in failed} == {"peer_not_answering"}, failed
    assert "Requesting a certificate" not in outcome.log
    assert {report.status for report in outcome.report.servers} <= {"failed", "cancelled"}
    for machine in machines:
        assert machine.run("ls /etc/nginx/conf.d").stdout == ""
