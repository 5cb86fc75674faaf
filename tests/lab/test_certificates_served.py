"""The certificate that clients get: your own with its chain, or the private CA's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from certificate_maker import Authority
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from moorage.errors import AnswersError

pytestmark = pytest.mark.ready


def _handshake(server: LabServer, authority: Path) -> str:
    """What openssl says when it connects and trusts one authority only."""
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"{server.address}:443", "-servername", DOMAIN,
         "-CAfile", str(authority), "-verify_hostname", DOMAIN, "-showcerts"],
        input="", capture_output=True, text=True, check=False, timeout=20,
    ).stdout  # fmt: skip


def test_own_certificates_are_served_with_their_chain(
    operator: Operator, server: LabServer, tmp_path: Path
) -> None:
    root = Authority("Company root")
    middle = root.sub_authority("Company servers")
    leaf, key = middle.issue(DOMAIN)
    (tmp_path / "fullchain.pem").write_bytes(leaf + middle.pem)
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "root.pem").write_bytes(root.pem)
    files = {"certificate": str(tmp_path / "fullchain.pem"), "key": str(tmp_path / "key.pem")}
    answers = operator.answers([server], ssl={"mode": "files", "files": files})

    operator.install(answers)

    said = _handshake(server, tmp_path / "root.pem")
    assert "Verify return code: 0 (ok)" in said
    assert said.count("BEGIN CERTIFICATE") == 2
    assert not operator.plan(answers).has_changes

    # A new certificate is served after the next apply, and nothing but nginx changes.
    leaf, key = middle.issue(DOMAIN)
    (tmp_path / "fullchain.pem").write_bytes(leaf + middle.pem)
    (tmp_path / "key.pem").write_bytes(key)
    outcome = operator.install(answers)
    assert {change.subject for change in outcome.plan.servers[0].changes} == {
        "/etc/nginx/moorage/tls/fullchain.pem",
        "/etc/nginx/moorage/tls/key.pem",
        "nginx: reload",
    }
    assert leaf.decode().splitlines()[1] in _handshake(server, tmp_path / "root.pem")


def test_a_key_that_does_not_match_is_rejected_before_the_run(
    operator: Operator, server: LabServer, tmp_path: Path
) -> None:
    root = Authority("Root")
    leaf, _key = root.issue(DOMAIN)
    _leaf, other_key = root.issue(DOMAIN)
    (tmp_path / "fullchain.pem").write_bytes(leaf + root.pem)
    (tmp_path / "key.pem").write_bytes(other_key)
    files = {"certificate": str(tmp_path / "fullchain.pem"), "key": str(tmp_path / "key.pem")}
    with pytest.raises(AnswersError, match="The key does not belong to the certificate"):
        operator.plan(operator.answers([server], ssl={"mode": "files", "files": files}))
    assert server.run("ls /etc/moorage", check=False).stdout == ""


@pytest.mark.deployed
def test_clients_with_the_cas_certificate_trust_the_private_ca(
    operator: Operator, server: LabServer
) -> None:
    authority = next((operator.home / "state" / "ca").glob("*/ca.pem"))
    assert "Verify return code: 0 (ok)" in _handshake(server, authority)


def test_behind_a_load_balancer_that_terminates_tls(operator: Operator, server: LabServer) -> None:
    answers = operator.answers(
        [server], registry={"domain": DOMAIN, "port": 8080}, ssl={"mode": "none"}
    )
    operator.install(answers)
    answer = subprocess.run(
        ["curl", "-s", "-i", "-X", "POST", "-K", "-", "-H", f"Host: {DOMAIN}",
         "-H", "X-Forwarded-Proto: https", f"http://{server.address}:8080/v2/a/b/blobs/uploads/"],
        input=f'user = "ci:{operator.passwords["ci"]}"\n', capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert f"Location: https://{DOMAIN}/v2/a/b/blobs/uploads/" in answer
