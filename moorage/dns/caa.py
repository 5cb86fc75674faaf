"""CAA records: which authorities may issue certificates for a name (RFC 8659)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import dns.exception
import dns.rdatatype
import dns.resolver

from moorage.answers.model import Answers
from moorage.dns.lookup import DnsError, NameServer, parse_name, query, system_resolver
from moorage.dns.records import clean_name

IDENTITIES = {
    "acme-v02.api.letsencrypt.org": "letsencrypt.org",
    "acme-staging-v02.api.letsencrypt.org": "letsencrypt.org",
    "acme.zerossl.com": "sectigo.com",
    "dv.acme-v02.api.pki.goog": "pki.goog",
    "acme.ssl.com": "ssl.com",
    "api.buypass.com": "buypass.com",
}
"""The CAA identities of the authorities behind well-known ACME directories."""
_CRITICAL = 128


@dataclass(frozen=True)
class CaaPolicy:
    """The CAA records that apply to a name.

    Attributes:
        at: The name that has them: the name itself or a parent.
        issuers: The authorities allowed to issue; empty if none is.
        unknown: Critical properties that no authority is allowed to ignore.
    """

    at: str
    issuers: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    def allows(self, authority: str) -> bool:
        """Whether the authority with this CAA identity is allowed to issue."""
        return authority in self.issuers and not self.unknown


def caa_identity(directory: str) -> str:
    """Return the CAA identity of the authority behind an ACME directory.

    Args:
        directory: The directory's URL.

    Returns:
        Its identity, such as ``letsencrypt.org``; empty if it is not known.
    """
    return IDENTITIES.get(urlsplit(directory).hostname or "", "")


def issuer_identity(answers: Answers) -> str:
    """Return the CAA identity of the authority the answers request a certificate from.

    Empty if the certificate does not come from ACME, or the identity is not known.
    """
    return caa_identity(answers.ssl.acme.url) if answers.ssl.mode == "acme" else ""


def caa_policy(name: str, zone: str, servers: Sequence[NameServer]) -> CaaPolicy | None:
    """Return the CAA records that apply to a name, or None if any authority is allowed to issue.

    Args:
        name: The name.
        zone: Its zone; for names above the zone, this machine's resolver is asked.
        servers: The zone's authoritative name servers.
    """
    labels = clean_name(name).split(".")
    for position in range(len(labels)):
        here = ".".join(labels[position:])
        in_zone = here == zone or here.endswith(f".{zone}")
        found = _from_servers(here, servers) if in_zone else _from_resolver(here)
        if found is None:
            continue
        issuers = tuple(
            value.partition(";")[0].strip().lower() for _, tag, value in found if tag == "issue"
        )
        unknown = tuple(
            tag
            for flags, tag, _ in found
            if flags & _CRITICAL
            and tag not in {"issue", "issuewild", "iodef", "issuemail", "contactemail"}
        )
        if not issuers and not unknown:
            return None
        return CaaPolicy(here, tuple(each for each in issuers if each), unknown)
    return None


def _from_servers(name: str, servers: Sequence[NameServer]) -> list[tuple[int, str, str]] | None:
    for server in servers:
        try:
            answer = query(server, name, "CAA")
        except DnsError:
            continue
        for each in answer.answer:
            if each.rdtype == dns.rdatatype.CAA:
                return [
                    (
                        entry.flags,
                        entry.tag.decode().lower(),
                        entry.value.decode("utf-8", "replace"),
                    )
                    for entry in each
                ]
        return None
    return None


def _from_resolver(name: str) -> list[tuple[int, str, str]] | None:
    try:
        answer = system_resolver().resolve(parse_name(name), "CAA")
    except (dns.exception.DNSException, DnsError):
        return None
    return [
        (entry.flags, entry.tag.decode().lower(), entry.value.decode("utf-8", "replace"))
        for entry in answer
    ]
