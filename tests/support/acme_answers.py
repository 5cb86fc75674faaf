"""Answers for certificates from the lab's ACME server, and renewals on a server."""

from __future__ import annotations

from typing import Any

from operator_at_work import Operator

from lab import LabServer
from lab.acme import AcmeAuthority
from moorage.answers.model import Answers


def acme_section(authority: AcmeAuthority, **parts: Any) -> dict[str, Any]:
    """Return the part of the answers that names the lab's ACME server."""
    return {
        "email": "ops@example.com",
        "directory": authority.directory,
        "ca_file": str(authority.ca_file),
        **parts,
    }


def by_acme(
    operator: Operator,
    machines: list[LabServer],
    authority: AcmeAuthority,
    acme: dict[str, Any] | None = None,
    **parts: Any,
) -> Answers:
    """Return answers that request the certificate from the lab's ACME server."""
    section = acme_section(authority, **(acme or {}))
    return operator.answers(machines, ssl={"mode": "acme", "acme": section}, **parts)


def renew(server: LabServer, *, check: bool = True) -> None:
    """Renew the certificate with the packaged service, as if it were about to expire."""
    server.run(
        "sed -i 's/^#* *renew_before_expiry.*/renew_before_expiry = 3000 days/' "
        "/etc/letsencrypt/renewal/moorage.conf"
    )
    server.run("systemctl start certbot.service", check=check)
