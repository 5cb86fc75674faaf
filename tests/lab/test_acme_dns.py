"""Certificates by ACME, proved by a DNS record that certbot makes by RFC 2136."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from acme_answers import by_acme, renew
from handshake import handshake, next_certificate, served_certificate
from operator_at_work import DOMAIN, Operator

from lab import Lab, LabServer
from lab.acme import start_authority
from lab.names import TsigKey, start_bind

pytestmark = pytest.mark.ready("certbot", "python3-certbot-dns-rfc2136")

ZONE = "example.test"


def test_the_dns_challenge_needs_no_port_80(
    operator: Operator,
    server: LabServer,
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = start_bind(lab, keys=[TsigKey.new(algorithm="hmac-sha512")])
    names.serve(ZONE, f"registry A {server.address}\n")
    authority = start_authority(lab, tmp_path / "authority", name_server=f"{names.address}:53")
    monkeypatch.setenv("TSIG_KEY", names.key.secret)
    operator.leaks.add(
        names.key.secret,
        ("/etc/moorage/acme/dns.ini", "/etc/bind/named.conf.local"),
        label="the TSIG key",
    )

    def answers(secret: dict[str, str], name: str = names.key.name) -> Any:
        credentials = {
            "server": names.address,
            "name": f"{name}.",
            "secret": secret,
            "algorithm": "HMAC-SHA512",
        }
        dns = {"provider": "rfc2136", "credentials": credentials, "propagation_seconds": 1}
        registry = {"domain": DOMAIN, "redirect_http": False}
        return by_acme(
            operator, [server], authority, {"challenge": "dns-01", "dns": dns}, registry=registry
        )

    try:
        # A key that the name server does not know: an error, and nothing is left.
        refused = operator.apply(answers({"env": "TSIG_KEY"}, name="other-key"))
        assert not refused.report.is_good
        message = refused.report.servers[0].message
        assert "no certificate" in message, message
        assert server.run("ls /etc/nginx/conf.d").stdout == ""

        wanted = answers({"env": "TSIG_KEY"})
        operator.install(wanted)

        roots = tmp_path / "roots.pem"
        roots.write_bytes(authority.roots())
        assert "Verify return code: 0 (ok)" in handshake(server, roots)
        assert server.run("ls /etc/nginx/conf.d").stdout.split() == ["moorage.conf"]
        assert server.run("stat -c %a /etc/moorage/acme/dns.ini").stdout.strip() == "600"
        assert not operator.plan(wanted).has_changes
        # certbot takes its record away again.
        assert names.dig(f"_acme-challenge.{DOMAIN}", "TXT") == []
        before = served_certificate(server)
        renew(server)
        next_certificate(server, before)
    finally:
        authority.stop()
        lab.destroy(names.server)
