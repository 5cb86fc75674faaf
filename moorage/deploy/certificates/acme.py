"""ACME: when a server has to request a certificate, and whether its renewals work."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass

from moorage.desired import layout
from moorage.desired.certificates import CertificateFacts, describe, find_faults
from moorage.desired.state import CertificateOrder, DesiredState, Effect
from moorage.servers.facts import Facts

LATE_DAYS = 14
"""A certificate with fewer days left should have been renewed long ago."""


@dataclass(frozen=True)
class Ask:
    """A request for a certificate.

    Attributes:
        reason: Why, for display.
        is_forced: Whether to request a new one even if certbot's is valid for long.
    """

    reason: str
    is_forced: bool = False


def what_to_ask(wanted: DesiredState, facts: Facts, recorded: Mapping[str, str]) -> Ask | None:
    """Return the request that certbot has to make, or None.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
        recorded: The digests of the files as Moorage last wrote them.
    """
    order = wanted.order
    if order is None:
        return None
    renewal = facts.files.get(layout.RENEWAL)
    if renewal is None:
        return Ask("the server has no ACME certificate yet")
    differs = _what_differs(order, renewal_parameters(renewal.content))
    if differs:
        return Ask(f"{differs} changes", is_forced=True)
    why = _what_is_wrong(wanted, facts, recorded)
    return Ask(why) if why else None


def _what_is_wrong(wanted: DesiredState, facts: Facts, recorded: Mapping[str, str]) -> str:
    """Return what is wrong with nginx's certificate; empty when nothing is."""
    certificate, key = facts.files.get(layout.TLS_CERTIFICATE), facts.files.get(layout.TLS_KEY)
    if layout.TLS_CERTIFICATE in recorded:
        return "the certificate in use is not from the ACME authority"
    if certificate is None or key is None:
        return "nginx has no certificate"
    now = datetime.datetime.fromtimestamp(facts.clock, datetime.UTC) if facts.clock else None
    for _code, sentence in find_faults(certificate.content, key.content, wanted.domain, now):
        return sentence.rstrip(".")
    if is_late(there := describe(certificate.content, now)):
        return f"it expires in {there.days_left} days and was not renewed"
    for file in wanted.files:
        if file.effect is Effect.CERTIFICATE and recorded.get(file.path) != file.digest:
            return "certbot's configuration changes"
    return ""


def is_late(certificate: CertificateFacts) -> bool:
    """Return whether a certificate should have been replaced by now.

    Short-lived certificates are renewed later than those of three months.
    """
    lifetime = (certificate.not_after - certificate.not_before).days
    return certificate.days_left < min(LATE_DAYS, lifetime / 4)


def renewal_parameters(content: bytes) -> dict[str, str]:
    """Return certbot's parameters of a certificate: ``server``, ``authenticator`` and so on.

    Args:
        content: The file below /etc/letsencrypt/renewal.
    """
    lines = content.decode("utf-8", "replace").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _what_differs(order: CertificateOrder, params: Mapping[str, str]) -> str:
    if params.get("server") != order.directory:
        return "the authority"
    if params.get("authenticator") != order.authenticator:
        return "the challenge"
    if params.get("key_type", "rsa") != order.key_type:
        return "the kind of key"
    return ""


@dataclass(frozen=True)
class Renewal:
    """The last attempt to renew a certificate, according to certbot's log.

    Attributes:
        tried_at: When, UTC.
        outcome: ``renewed``, ``not due`` or ``failed``.
        message: Why it failed; empty otherwise.
        next_at: The timer's next attempt, UTC; None when the timer is not running.
    """

    tried_at: datetime.datetime | None
    outcome: str
    message: str = ""
    next_at: datetime.datetime | None = None

    @property
    def text(self) -> str:
        """The same in words, without the message."""
        when = f"{self.tried_at:%Y-%m-%d %H:%M} UTC" if self.tried_at else "never"
        following = f"next try {self.next_at:%Y-%m-%d %H:%M} UTC" if self.next_at else "no next try"
        outcome = f" ({self.outcome})" if self.outcome else ""
        return f"last tried {when}{outcome}, {following}"


_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_OURS = f"Processing {layout.RENEWAL}"


def renewal_of(facts: Facts) -> Renewal | None:
    """Return the last attempt to renew the certificate; None when certbot manages none.

    Args:
        facts: The server's facts.
    """
    if layout.RENEWAL not in facts.files:
        return None
    tried_at, outcome, message, is_ours = None, "", "", False
    for line in facts.certbot_log:
        if "Processing /etc/letsencrypt/renewal/" in line:
            is_ours = line.endswith(_OURS)
            if is_ours:
                tried_at, outcome, message = _stamp(line, facts.zone), "interrupted", ""
        elif f"Writing new config {layout.RENEWAL}" in line:
            tried_at, outcome, message = _stamp(line, facts.zone), "renewed", ""
        elif "not yet due for renewal" in line:
            if is_ours:
                outcome, message = "not due", ""
        elif "returned error" in line or "reported error" in line:
            if outcome == "renewed":
                outcome = "failed"
                message = (
                    "the new certificate could not be installed in nginx; see journalctl -u certbot"
                )
        else:
            tried_at = _stamp(line, facts.zone) or tried_at
            outcome = "failed"
            message = line.partition("with error: ")[2] or line.partition("unexpected error: ")[2]
    next_at = facts.certbot_next
    return Renewal(
        tried_at,
        outcome,
        message.strip(),
        None if next_at is None else datetime.datetime.fromtimestamp(next_at, datetime.UTC),
    )


def _stamp(line: str, zone: str) -> datetime.datetime | None:
    found = _STAMP.match(line)
    if found is None:
        return None
    local = datetime.datetime.strptime(f"{found[0]} {zone}", "%Y-%m-%d %H:%M:%S %z")
    return local.astimezone(datetime.UTC)
