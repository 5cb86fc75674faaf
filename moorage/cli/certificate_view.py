"""The certificates of servers as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moorage.cli.plan_view import Line
from moorage.cli.status_view import renewal_as_json, renewal_text
from moorage.cli.tables import lined_up
from moorage.deploy.acme import Renewal, renewal_of
from moorage.deploy.certificate import Served, fingerprint
from moorage.desired import layout
from moorage.desired.certificates import CertificateFacts, describe
from moorage.servers.facts import Facts


@dataclass(frozen=True)
class ServerCertificate:
    """The certificate a server has and the one it shows.

    Attributes:
        server: The server's label.
        there: The certificate that is on it; None when there is none.
        fingerprint: The SHA-256 of that; empty likewise.
        served: What it shows.
        renewal: How the last renewal by ACME went, if that is how it is got.
    """

    server: str
    there: CertificateFacts | None
    fingerprint: str
    served: Served
    renewal: Renewal | None

    @property
    def is_good(self) -> bool:
        """Whether it shows the certificate that it has."""
        return self.there is not None and self.served.fingerprint == self.fingerprint


def certificates(facts: Sequence[Facts], served: Sequence[Served]) -> list[ServerCertificate]:
    """Bring together what servers have and what they show.

    Args:
        facts: What the probe read.
        served: What each server showed.
    """
    shown = {each.server: each for each in served}
    found = []
    for each in facts:
        file = each.files.get(layout.TLS_CERTIFICATE)
        there, digest = None, ""
        if file is not None:
            try:
                there, digest = describe(file.content), fingerprint(file.content)
            except ValueError:
                there = None
        found.append(
            ServerCertificate(each.server, there, digest, shown[each.server], renewal_of(each))
        )
    return found


def lines(found: ServerCertificate) -> Iterator[Line]:
    """Yield a server's certificate as lines for people."""
    sign, style = ("✓ ", "green") if found.is_good else ("✗ ", "red")
    yield ((sign, style), (found.server, "bold"))
    yield from lined_up(list(_rows(found)), indent="  ")
    yield ("",)


def _rows(found: ServerCertificate) -> Iterator[tuple[str, str]]:
    if found.there is None:
        yield "certificate", "none on the server"
    else:
        yield "names", ", ".join(found.there.names) or "none"
        yield "issuer", found.there.issuer
        yield (
            "valid",
            f"from {found.there.not_before:%Y-%m-%d} until {found.there.not_after:%Y-%m-%d}, "
            f"{found.there.days_left} days left",
        )
        yield "chain", " < ".join(found.there.chain)
        yield "SHA-256", found.fingerprint
    if found.served.fault:
        yield "shown", f"nothing: {found.served.fault}"
    elif found.is_good:
        yield "shown", f"this certificate, by {found.served.protocol}"
    elif found.served.certificate is not None:
        other = found.served.certificate
        yield "shown", f"another one: {', '.join(other.names)}, from {other.issuer}"
    if found.renewal is not None:
        yield "renewal", renewal_text(found.renewal)
        if found.renewal.message:
            yield "", found.renewal.message


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
    """Return what a server shows as JSON values."""
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
