"""Changes in a zone by RFC 2136, signed with a TSIG key (RFC 8945)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.update

from moorage.dns.local_resolver import addresses_here
from moorage.dns.lookup import (
    DnsError,
    NameServer,
    parse_name,
    records_in,
    zone_at,
)
from moorage.dns.records import KINDS, RecordChange, RecordSet, clean_name
from moorage.network import in_words

TIMEOUT = 5.0
"""Seconds the name server has for a change."""
ALGORITHMS = {
    "hmac-sha256": dns.tsig.HMAC_SHA256,
    "hmac-sha512": dns.tsig.HMAC_SHA512,
    "hmac-sha384": dns.tsig.HMAC_SHA384,
    "hmac-sha224": dns.tsig.HMAC_SHA224,
    "hmac-sha1": dns.tsig.HMAC_SHA1,
    "hmac-md5": dns.tsig.HMAC_MD5,
}
_REFUSALS = {
    dns.rcode.NOTAUTH: ("does not hold the zone {zone}, or does not know the key {key}", "no_zone"),
    dns.rcode.NOTZONE: ("says that the name is not in the zone {zone}", "no_zone"),
    dns.rcode.REFUSED: (
        "refuses: it holds no zone {zone}, or the key {key} may not change {name}",
        "dns_refused",
    ),
}


@dataclass(frozen=True)
class Key:
    """A TSIG key: its name, its algorithm and the secret in base64."""

    name: str
    algorithm: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Rfc2136Provider:
    """A primary name server that takes changes.

    Attributes:
        host: Its address or host name.
        port: Its port.
        key: What changes are signed with, or None for a name server that asks for nothing.
        zone_name: The zone, or None to ask for it.
    """

    host: str
    port: int = 53
    key: Key | None = None
    zone_name: str | None = None

    @property
    def title(self) -> str:
        """What it is, for people."""
        zone = f", zone {self.zone_name}" if self.zone_name else ""
        return f"rfc2136 on {self.host}{zone}"

    @property
    def can_write(self) -> bool:
        """It can change records."""
        return True

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the records of a name; see :class:`moorage.dns.records.Provider`."""
        server = self._server()
        self._zone(name, server)
        found = []
        for kind in KINDS:
            asked = dns.message.make_query(parse_name(name), kind)
            self._sign(asked)
            answer = self._send(asked, server, name)
            records = records_in(answer, name, kind)
            if records is not None:
                found.append(records)
                if kind == "CNAME":
                    break
        return tuple(found)

    def write(self, changes: Sequence[RecordChange]) -> None:
        """Make changes, all or none; see :class:`moorage.dns.records.Provider`."""
        if not changes:
            return
        server = self._server()
        first = changes[0].after or changes[0].before
        assert first is not None
        zone = self._zone(first.name, server)
        update = dns.update.UpdateMessage(parse_name(zone))
        for change in changes:
            either = change.after or change.before
            assert either is not None
            owner = parse_name(either.name)
            # Someone else may have been here since it was read: then nothing is changed.
            if change.before is None:
                update.absent(owner, either.kind)
            else:
                update.present(owner, _rdataset(change.before, ttl=0))
                update.delete(owner, change.before.kind)
        for change in changes:
            if change.after is not None:
                update.add(
                    parse_name(change.after.name),
                    _rdataset(change.after, ttl=change.after.ttl or 300),
                )
        self._sign(update)
        self._send(update, server, first.name, zone)

    def _server(self) -> NameServer:
        found = addresses_here(self.host)
        if not found:
            raise DnsError(
                f"the name server {self.host} has no address.",
                hint="Correct dns.rfc2136.server.",
                code="no_name_server",
            )
        return NameServer(self.host, found[0], self.port)

    def _zone(self, name: str, server: NameServer) -> str:
        zone = self.zone_name or zone_at(name, [server])
        if not parse_name(name).is_subdomain(parse_name(zone)):
            raise DnsError(
                f"{name} is not in the zone {zone}.", hint="Correct dns.zone.", code="no_zone"
            )
        return clean_name(zone)

    def _sign(self, message: dns.message.Message) -> None:
        if self.key is None:
            return
        try:
            secret = base64.b64decode(self.key.secret, validate=True)
        except (binascii.Error, ValueError):
            raise DnsError(
                f"the TSIG key {self.key.name} is no base64.",
                hint="dns.rfc2136.key leads to what stands behind 'secret' in the key's file.",
                code="dns_key_wrong",
            ) from None
        algorithm = ALGORITHMS[self.key.algorithm]
        message.use_tsig(dns.tsig.Key(parse_name(self.key.name), secret, algorithm))

    def _send(
        self, message: dns.message.Message, server: NameServer, name: str, zone: str = ""
    ) -> dns.message.Message:
        key = self.key.name if self.key else "(none)"
        try:
            if isinstance(message, dns.update.UpdateMessage):
                answer = dns.query.tcp(message, server.address, timeout=TIMEOUT, port=server.port)
            else:
                answer, _ = dns.query.udp_with_fallback(
                    message, server.address, timeout=TIMEOUT, port=server.port
                )
        except dns.exception.Timeout as error:
            raise DnsError(
                f"the name server {server} does not answer within {TIMEOUT:g} s.",
                hint="Is it up, and does a firewall let UDP and TCP through to its port?",
                code="name_server_silent",
            ) from error
        except (dns.tsig.PeerBadKey, dns.tsig.PeerBadSignature, dns.tsig.BadSignature) as error:
            raise DnsError(
                f"the name server {server} does not accept the TSIG key {key}: its name, its "
                "algorithm or the key itself is not the one it knows.",
                hint="Compare dns.rfc2136 with the key in the name server's configuration.",
                code="dns_key_wrong",
            ) from error
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
            raise DnsError(
                f"the name server {server} refuses the time of the signature: the clocks of this "
                "machine and of the name server are minutes apart.",
                hint="Set both clocks by NTP.",
                code="dns_clock",
            ) from error
        except (dns.exception.DNSException, OSError, ValueError, EOFError) as error:
            why = in_words(error) if isinstance(error, OSError) else "its answer makes no sense"
            raise DnsError(
                f"the name server {server} cannot be asked: {why}.",
                hint="Is it the primary one of the zone, and the port right?",
                code="name_server_failed",
            ) from error
        return self._checked(answer, server, name, zone, key)

    def _checked(
        self, answer: dns.message.Message, server: NameServer, name: str, zone: str, key: str
    ) -> dns.message.Message:
        code = answer.rcode()
        if code in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            return answer
        if code in {dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.YXDOMAIN}:
            raise DnsError(
                f"somebody else has changed {name} on the name server {server} meanwhile; nothing "
                "was changed.",
                hint="Look at what is there now with 'moorage dns plan FILE'.",
                code="dns_changed_meanwhile",
            )
        told, kind = _REFUSALS.get(
            code, (f"answers {dns.rcode.to_text(code)}", "name_server_failed")
        )
        shown = told.format(zone=zone or self.zone_name or "of the name", key=key, name=name)
        raise DnsError(
            f"the name server {server} {shown}.",
            hint="Its log says why; 'allow-update' or 'update-policy' of the zone decides in bind.",
            code=kind,
        )


def _rdataset(records: RecordSet, *, ttl: int) -> dns.rdataset.Rdataset:
    values = [f"{value}." if records.kind == "CNAME" else value for value in records.values]
    return dns.rdataset.from_text("IN", records.kind, ttl, *values)
