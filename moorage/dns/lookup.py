"""Find a name's zone and its authoritative name servers, and query each of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from moorage.dns.local_resolver import resolve_locally
from moorage.dns.records import KINDS, RecordSet, clean_name
from moorage.errors import MoorageError
from moorage.network import in_words, within

_Result = TypeVar("_Result")

TIMEOUT = 2.0
"""Seconds to wait for one reply of a name server."""
LIFETIME = 4.0
"""Seconds to wait for the resolver, retries included."""
_MOST_SERVERS = 8

Cancelled = Callable[[], bool]
"""Returns whether the operation was cancelled."""


class DnsError(MoorageError):
    """A DNS lookup or change failed."""

    code = "dns_failed"


@dataclass(frozen=True)
class NameServer:
    """A name server and one of its addresses."""

    name: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        shown = self.name if self.name == self.address else f"{self.name} ({self.address})"
        return shown if self.port == 53 else f"{shown} port {self.port}"


@dataclass(frozen=True)
class Reply:
    """One name server's reply for a name.

    Attributes:
        records: The records; empty if the name has none.
        fault: Why there is no usable reply, or empty.
    """

    server: NameServer
    records: tuple[RecordSet, ...] = ()
    fault: str = ""

    @property
    def values(self) -> frozenset[str]:
        """All addresses and names in the records."""
        return frozenset(value for each in self.records for value in each.values)

    @property
    def text(self) -> str:
        """The records, or why there are none."""
        records = [f"{each.kind} {value}" for each in self.records for value in each.values]
        return self.fault or ", ".join(records) or "nothing"


def split_endpoint(text: str) -> tuple[str, int]:
    """Split ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT."""
    found = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+):(\d+)", text)
    if found is None:
        return text, 53
    return found[1] or found[3], int(found[2] or found[4] or 53)


def system_resolver() -> dns.resolver.Resolver:
    """Return this machine's resolver with short timeouts.

    Raises:
        DnsError: None is configured.
    """
    try:
        resolver = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration as error:
        raise DnsError(
            "this machine has no name server in /etc/resolv.conf.",
            advice="Set the zone's authoritative name servers.",
            fields=("dns.nameservers",),
            code="no_resolver",
        ) from error
    resolver.timeout, resolver.lifetime = TIMEOUT, LIFETIME
    return resolver


def parse_name(name: str) -> dns.name.Name:
    """Parse a name for a query.

    Raises:
        DnsError: It is not a DNS name.
    """
    try:
        return dns.name.from_text(clean_name(name))
    except (dns.exception.DNSException, UnicodeError, ValueError) as error:
        raise DnsError(f"{name!r} is not a DNS name: {_why(error)}.", code="no_name") from error


def listed_name_servers(texts: Iterable[str]) -> tuple[NameServer, ...]:
    """Return the name servers listed in ``dns.nameservers``, one entry per address."""
    found = []
    for text in texts:
        host, port = split_endpoint(text)
        found += [NameServer(host, address, port) for address in resolve_locally(host)]
    return tuple(found)


def find_name_servers(name: str, given: Sequence[str] = ()) -> tuple[str, tuple[NameServer, ...]]:
    """Find a name's zone and the zone's authoritative name servers.

    Args:
        name: The name.
        given: Name servers to query instead of looking them up.

    Returns:
        The zone's name and its name servers.

    Raises:
        DnsError: There is no zone, or no name server answers.
    """
    if given:
        servers = listed_name_servers(given)
        if not servers:
            raise DnsError(
                f"none of the zone's name servers in the answers resolves: {', '.join(given)}.",
                advice="Correct their names.",
                fields=("dns.nameservers",),
                code="no_name_server",
            )
        return zone_at(name, servers), servers
    resolver = system_resolver()
    with _explained(f"the zone of {name}"):
        zone = dns.resolver.zone_for_name(parse_name(name), resolver=resolver, lifetime=LIFETIME)
    if zone == dns.name.root:
        raise DnsError(
            f"{name} is not in any zone known to this machine's resolver.",
            advice="Register the domain, or set its name servers.",
            fields=("dns.nameservers",),
            code="no_zone",
        )
    with _explained(f"the name servers of {zone.to_text(True)}"):
        answer = resolver.resolve(zone, "NS")
    names = sorted(entry.target.to_text(True) for entry in answer)[:_MOST_SERVERS]
    servers = tuple(
        NameServer(each, address) for each in names for address in resolve_locally(each)
    )
    if not servers:
        raise DnsError(
            f"none of the name servers of {zone.to_text(True)} resolves: {', '.join(names)}.",
            advice="Correct the NS records at the domain's registrar.",
            code="no_name_server",
        )
    return zone.to_text(True), servers


def zone_at(name: str, servers: Sequence[NameServer]) -> str:
    """Return a name's zone according to name servers that are authoritative for it.

    Raises:
        DnsError: They do not answer, or are not authoritative for such a zone.
    """
    faults = []
    for server in servers:
        try:
            answer = query(server, name, "SOA")
        except DnsError as error:
            faults.append(error.message)
            continue
        sections = (answer.answer, answer.authority)
        found = next(
            (each for section in sections for each in section if each.rdtype == dns.rdatatype.SOA),
            None,
        )
        if found is not None and answer.flags & dns.flags.AA:
            return found.name.to_text(True)
        faults.append(_no_zone(server, name, answer).message)
    raise DnsError(
        f"no zone for {name} was found: " + " ".join(faults),
        advice="Check the zone, and that the name server is authoritative for it.",
        fields=("dns.zone",),
        code="no_zone",
    )


def query(
    server: NameServer, name: str, kind: str, timeout: float = TIMEOUT
) -> dns.message.Message:
    """Send one non-recursive query to a name server.

    Raises:
        DnsError: It does not answer, or answers with an error other than NXDOMAIN.
    """
    asked = dns.message.make_query(parse_name(name), kind, use_edns=0)
    asked.flags &= ~dns.flags.RD
    return send_query(asked, server, timeout)


def send_query(
    asked: dns.message.Message, server: NameServer, timeout: float = TIMEOUT
) -> dns.message.Message:
    """Send a message to a name server by UDP, and by TCP if the reply is truncated.

    Raises:
        DnsError: It does not answer, or answers with an error other than NXDOMAIN.
    """
    try:
        answer, _ = dns.query.udp_with_fallback(
            asked, server.address, timeout=timeout, port=server.port, ignore_unexpected=True
        )
    except dns.exception.Timeout as error:
        raise DnsError(
            f"the name server {server} does not answer within {timeout:g} s.",
            advice="Check that it is up and that firewalls let UDP and TCP through to its port.",
            code="name_server_silent",
        ) from error
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise DnsError(
            f"the query to the name server {server} failed: {_why(error)}.",
            code="name_server_failed",
        ) from error
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise DnsError(
            f"the name server {server} answered {dns.rcode.to_text(answer.rcode())}.",
            advice="It does not have the zone, cannot load it, or refuses queries from this "
            "machine.",
            code="name_server_failed",
        )
    return answer


def query_records(server: NameServer, name: str) -> Reply:
    """Query a name server for the A, AAAA and CNAME records of a name."""
    records = []
    for kind in KINDS:
        try:
            answer = query(server, name, kind)
            if not answer.flags & dns.flags.AA:
                return Reply(server, fault=_no_zone(server, name, answer).message.rstrip("."))
            found = records_in(answer, name, kind)
        except DnsError as error:
            return Reply(server, fault=error.message.rstrip("."))
        if found is not None:
            records.append(found)
            if kind == "CNAME":
                break  # a name with a CNAME has no other records
    return Reply(server, tuple(records))


def query_all(servers: Sequence[NameServer], name: str) -> tuple[Reply, ...]:
    """Query several name servers in parallel."""
    if not servers:
        return ()
    with ThreadPoolExecutor(max_workers=len(servers)) as pool:
        return tuple(pool.map(lambda server: query_records(server, name), servers))


def records_in(answer: dns.message.Message, name: str, kind: str) -> RecordSet | None:
    """Return the records of one type for a name in an answer, or None."""
    rdtype = dns.rdatatype.from_text(kind)
    for each in answer.answer:
        if each.name == parse_name(name) and each.rdtype == rdtype:
            return RecordSet.of(name, kind, [entry.to_text() for entry in each], each.ttl)
    return None


def wait_until_served(
    servers: Sequence[NameServer],
    name: str,
    desired: Sequence[RecordSet],
    *,
    seconds: float,
    cancelled: Cancelled = lambda: False,
) -> tuple[Reply, ...]:
    """Query name servers until all of them serve the expected records, or the time is up.

    Args:
        servers: The zone's authoritative name servers.
        name: The name.
        desired: The expected records; their TTL is not compared.
        seconds: How long to wait.
        cancelled: Ends the wait.

    Returns:
        The last reply of each.
    """
    end = time.monotonic() + seconds
    pause = 0.2
    while True:
        replies = query_all(servers, name)
        if all(reply_matches(each, desired) for each in replies):
            return replies
        if time.monotonic() >= end or cancelled():
            return replies
        until = min(end, time.monotonic() + pause)
        while time.monotonic() < until and not cancelled():
            time.sleep(0.05)
        pause = min(5.0, pause * 1.5)


def reply_matches(reply: Reply, desired: Sequence[RecordSet]) -> bool:
    """Whether a reply has exactly these records, TTL aside."""
    records = {each.kind: each.values for each in reply.records}
    return not reply.fault and records == {each.kind: each.values for each in desired}


def _no_zone(server: NameServer, name: str, answer: dns.message.Message) -> DnsError:
    """Describe the reply of a name server that is not authoritative for a name."""
    for each in answer.authority:
        if each.rdtype == dns.rdatatype.NS and each.name != dns.name.root:
            others = ", ".join(sorted(entry.target.to_text(True) for entry in each))
            return DnsError(
                f"the name server {server} delegates {each.name.to_text(True)} to {others}.",
                advice=f"{name} has to be changed there.",
                code="zone_elsewhere",
            )
    return DnsError(f"the name server {server} is not authoritative for {name}.", code="no_zone")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (dns.exception.Timeout, dns.resolver.NoNameservers, dns.resolver.LifetimeTimeout) as e:
        raise DnsError(
            f"{what} cannot be found: this machine's resolver does not answer.",
            advice="Check the network, or set other name servers.",
            fields=("dns.nameservers",),
            code="resolver_silent",
        ) from e
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.NoRootSOA) as error:
        raise DnsError(
            f"{what} cannot be found: it does not exist.",
            advice="Register the domain, or set its name servers.",
            fields=("dns.nameservers",),
            code="no_zone",
        ) from error
    except dns.exception.DNSException as error:
        raise DnsError(f"{what} cannot be found: {_why(error)}.") from error


def _why(error: BaseException) -> str:
    if isinstance(error, OSError):
        return in_words(error)
    return (str(error) or "malformed reply").rstrip(".")


def call_provider(seconds: float, title: str, work: Callable[[], _Result]) -> _Result:
    """Call a provider's API with a time limit.

    Args:
        seconds: Time limit for the whole call.
        title: The provider as shown to users.
        work: The call.

    Raises:
        DnsError: The call took longer.
    """
    try:
        return within(seconds, work)
    except TimeoutError as error:
        raise DnsError(
            f"{title} does not answer within {seconds:g} s.",
            advice="Try again later; 'moorage dns plan FILE' shows the current records.",
            code="dns_failed",
        ) from error
