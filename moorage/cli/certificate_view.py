"""Server certificates as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.cli.plan_view import Line
from moorage.cli.status_view import renewal_as_json
from moorage.cli.tables import row_lines
from moorage.deploy.certificates.certificate import Served, ServerCertificate
from moorage.desired.certificates import CertificateFacts


def lines(found: ServerCertificate) -> Iterator[Line]:
    """Yield a server's certificate as text."""
    sign, style = ("✓ ", "green") if found.is_good else ("✗ ", "red")
    yield ((sign, style), (found.server, "bold"))
    yield from row_lines(found.rows, indent="  ")
    yield ("",)


def as_json(found: ServerCertificate) -> dict[str, object]:
    """Return a server's certificate as JSON values."""
    return {
        "server": found.server,
        "is_good": found.is_good,
        "certificate": found.there and {**_facts(found.there), "sha256": found.fingerprint},
        "served": served_as_json(found.served),
        "renewal": renewal_as_json(found.renewal),
    }


def served_as_json(served: Served) -> dict[str, object]:
    """Return the certificate a server serves as JSON values."""
    return {
        "server": served.server,
        "sha256": served.fingerprint or None,
        "protocol": served.protocol or None,
        "fault": served.fault or None,
        "certificate": served.certificate and _facts(served.certificate),
    }


def _facts(certificate: CertificateFacts) -> dict[str, object]:
    return {
        "names": list(certificate.names),
        "issuer": certificate.issuer,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "days_left": certificate.days_left,
        "chain": list(certificate.chain),
    }
