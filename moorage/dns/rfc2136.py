"""Dynamic updates (RFC 2136), signed with a TSIG key (RFC 8945)."""

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

from moorage.dns.local_resolver import resolve_locally
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
"""Seconds to wait for the name server."""
ALGORITHMS = {
    "hmac-sha256": dns.tsig.HMAC_SHA256,
    "hmac-sha512": dns.tsig.HMAC_SHA512,
    "hmac-sha384": dns.tsig.HMAC_SHA384,
    "hmac-sha224": dns.tsig.HMAC_SHA224,
    "hmac-sha1": dns.tsig.HMAC_SHA1,
    "hmac-md5": dns.tsig.HMAC_MD5,
}
_REFUSALS = {
    dns.rcode.NOTAUTH: ("is not authoritative for {zone}, or does not know key {key}", "no_zone"),
    dns.rcode.NOTZONE: ("says that the name is not in the zone {zone}", "no_zone"),
    dns.rcode.REFUSED: (
        "refused: it does not have {zone}, or the key {key} is not allowed to change {name}",
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
    """A primary name server that accepts dynamic updates.

    Attributes:
        host: Its address or host name.
        port: Its port.
        key: The key that signs changes, or None for unsigned changes.
        zone_name: The zone, or None to look it up.
    """

    host: str
    port: int = 53
    key: Key | None = None
    zone_name: str | None = None

    @property
    def title(self) -> str:
        """The provider's name as shown to users."""
        zone = f", zone {self.zone_name}" if self.zone_name else ""
        return f"rfc2136 on {self.host}{zone}"

    @property
    def can_write(self) -> bool:
        """Always true."""
        return True

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the records of a name; see :class:`moorage.dns.records.Provider`."""
        server = self._server()
        self._zone(name, server)
        found = []
        for kind in KINDS:
            query = dns.message.make_query(parse_name(name), kind)
            self._sign(query)
            answer = self._send(query, server, name)
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
            # The update fails as a whole if the records were changed since they were read.
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
        found = resolve_locally(self.host)
        if not found:
            raise DnsError(
                f"the name server {self.host} does not resolve.",
                advice="Correct its name.",
                fields=("dns.rfc2136.server",),
                code="no_name_server",
            )
        return NameServer(self.host, found[0], self.port)

    def _zone(self, name: str, server: NameServer) -> str:
        zone = self.zone_name or zone_at(name, [server])
        if not parse_name(name).is_subdomain(parse_name(zone)):
            raise DnsError(
                f"{name} is not in the zone {zone}.",
                advice="Correct the zone.",
                fields=("dns.zone",),
                code="no_zone",
            )
        return clean_name(zone)

    def _sign(self, message: dns.message.Message) -> None:
        if self.key is None:
            return
        try:
            secret = base64.b64decode(self.key.secret, validate=True)
        except (binascii.Error, ValueError):
            raise DnsError(
                f"the TSIG key {self.key.name} is not valid base64.",
                advice="Use the value after 'secret' in the key file.",
                fields=("dns.rfc2136.key",),
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
                advice="Check that it is up and that firewalls let UDP and TCP through to its "
                "port.",
                code="name_server_silent",
            ) from error
        except (dns.tsig.PeerBadKey, dns.tsig.PeerBadSignature, dns.tsig.BadSignature) as error:
            raise DnsError(
                f"the name server {server} does not accept the TSIG key {key}: its name, algorithm "
                "or secret is wrong.",
                advice="Compare them with the key in the name server's configuration.",
                fields=("dns.rfc2136",),
                code="dns_key_wrong",
            ) from error
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
            raise DnsError(
                f"the name server {server} rejects the signature's time: its clock and this "
                "machine's are minutes apart.",
                advice="Synchronise both clocks by NTP.",
                code="dns_clock",
            ) from error
        except (dns.exception.DNSException, OSError, ValueError, EOFError) as error:
            why = in_words(error) if isinstance(error, OSError) else "malformed reply"
            raise DnsError(
                f"the query to the name server {server} failed: {why}.",
                advice="Check that it is the zone's primary name server, and the port.",
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
                f"{name} was changed on the name server {server} in the meantime; nothing was "
                "changed.",
                advice="Run 'moorage dns plan FILE' to see the current records.",
                code="dns_changed_meanwhile",
            )
        template, kind = _REFUSALS.get(
            code, (f"answered {dns.rcode.to_text(code)}", "name_server_failed")
        )
        refusal = template.format(zone=zone or self.zone_name or "the zone", key=key, name=name)
        raise DnsError(
            f"the name server {server} {refusal}.",
            advice="See its log. In BIND, the zone's 'allow-update' or 'update-policy' decides.",
            code=kind,
        )


def _rdataset(records: RecordSet, *, ttl: int) -> dns.rdataset.Rdataset:
    values = [f"{value}." if records.kind == "CNAME" else value for value in records.values]
    return dns.rdataset.from_text("IN", records.kind, ttl, *values)
