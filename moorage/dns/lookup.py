"""Asks name servers: the zone a name is in, its own name servers, and what each of them says."""

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

from moorage.dns.local_resolver import addresses_here
from moorage.dns.records import KINDS, RecordSet, clean_name
from moorage.errors import MoorageError
from moorage.network import in_words, within

_Result = TypeVar("_Result")

TIMEOUT = 2.0
"""Seconds a name server has for one answer."""
LIFETIME = 4.0
"""Seconds the resolver has for one question, retries included."""
_MOST_SERVERS = 8

Cancelled = Callable[[], bool]
"""Says whether somebody asked to stop."""


class DnsError(MoorageError):
    """Something about DNS cannot be found out or done."""

    code = "dns_failed"


@dataclass(frozen=True)
class NameServer:
    """A name server and one address of it."""

    name: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        shown = self.name if self.name == self.address else f"{self.name} ({self.address})"
        return shown if self.port == 53 else f"{shown} port {self.port}"


@dataclass(frozen=True)
class Said:
    """What one name server says about a name.

    Attributes:
        records: Its records; empty when it says that there are none.
        fault: Why it says nothing, or empty.
    """

    server: NameServer
    records: tuple[RecordSet, ...] = ()
    fault: str = ""

    @property
    def values(self) -> frozenset[str]:
        """All addresses and names in the records."""
        return frozenset(value for each in self.records for value in each.values)


def split_endpoint(text: str) -> tuple[str, int]:
    """Split ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT."""
    found = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+):(\d+)", text)
    if found is None:
        return text, 53
    return found[1] or found[3], int(found[2] or found[4] or 53)


def own_resolver() -> dns.resolver.Resolver:
    """Return the resolver of this machine, with little patience.

    Raises:
        DnsError: This machine has none.
    """
    try:
        resolver = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration as error:
        raise DnsError(
            "this machine has no name server in /etc/resolv.conf.",
            hint="Name the zone's own ones in dns.nameservers.",
            code="no_resolver",
        ) from error
    resolver.timeout, resolver.lifetime = TIMEOUT, LIFETIME
    return resolver


def parse_name(name: str) -> dns.name.Name:
    """Return a name for a question.

    Raises:
        DnsError: It is none.
    """
    try:
        return dns.name.from_text(clean_name(name))
    except (dns.exception.DNSException, UnicodeError, ValueError) as error:
        raise DnsError(f"{name!r} is no DNS name: {_why(error)}.", code="no_name") from error


def given_servers(texts: Iterable[str]) -> tuple[NameServer, ...]:
    """Return the name servers of ``dns.nameservers``, a name with each of its addresses."""
    found = []
    for text in texts:
        host, port = split_endpoint(text)
        found += [NameServer(host, address, port) for address in addresses_here(host)]
    return tuple(found)


def find_servers(name: str, given: Sequence[str] = ()) -> tuple[str, tuple[NameServer, ...]]:
    """Find the zone a name is in and the zone's own name servers.

    Args:
        name: The name.
        given: Name servers to ask instead of finding them.

    Returns:
        The zone's name and its name servers.

    Raises:
        DnsError: There is no zone, or nobody answers.
    """
    if given:
        servers = given_servers(given)
        if not servers:
            raise DnsError(
                f"none of dns.nameservers has an address: {', '.join(given)}.",
                hint="Correct dns.nameservers.",
                code="no_name_server",
            )
        return zone_at(name, servers), servers
    resolver = own_resolver()
    with _explained(f"the zone of {name}"):
        zone = dns.resolver.zone_for_name(parse_name(name), resolver=resolver, lifetime=LIFETIME)
    if zone == dns.name.root:
        raise DnsError(
            f"{name} is in no zone: the name servers of this machine know of none.",
            hint="Register the domain, or name its name servers in dns.nameservers.",
            code="no_zone",
        )
    with _explained(f"the name servers of {zone.to_text(True)}"):
        answer = resolver.resolve(zone, "NS")
    names = sorted(entry.target.to_text(True) for entry in answer)[:_MOST_SERVERS]
    servers = tuple(NameServer(each, address) for each in names for address in addresses_here(each))
    if not servers:
        raise DnsError(
            f"none of the name servers of {zone.to_text(True)} has an address: {', '.join(names)}.",
            hint="Correct the NS records where the domain is registered.",
            code="no_name_server",
        )
    return zone.to_text(True), servers


def zone_at(name: str, servers: Sequence[NameServer]) -> str:
    """Return the zone that a name is in, as name servers that hold it say.

    Raises:
        DnsError: They do not answer, or hold no such zone.
    """
    faults = []
    for server in servers:
        try:
            answer = question(server, name, "SOA")
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
        hint="Is dns.zone right, and does the name server hold it?",
        code="no_zone",
    )


def question(
    server: NameServer, name: str, kind: str, timeout: float = TIMEOUT
) -> dns.message.Message:
    """Ask one name server one question, without recursion.

    Raises:
        DnsError: It does not answer, or with an error; NXDOMAIN is none.
    """
    asked = dns.message.make_query(parse_name(name), kind, use_edns=0)
    asked.flags &= ~dns.flags.RD
    return exchange(asked, server, timeout)


def exchange(
    asked: dns.message.Message, server: NameServer, timeout: float = TIMEOUT
) -> dns.message.Message:
    """Send a message to a name server, by UDP and then TCP where the answer is long.

    Raises:
        DnsError: It does not answer, or with an error; NXDOMAIN is none.
    """
    try:
        answer, _ = dns.query.udp_with_fallback(
            asked, server.address, timeout=timeout, port=server.port, ignore_unexpected=True
        )
    except dns.exception.Timeout as error:
        raise DnsError(
            f"the name server {server} does not answer within {timeout:g} s.",
            hint="Is it up, and does a firewall let UDP and TCP through to its port?",
            code="name_server_silent",
        ) from error
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise DnsError(
            f"the name server {server} cannot be asked: {_why(error)}.", code="name_server_failed"
        ) from error
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise DnsError(
            f"the name server {server} answers {dns.rcode.to_text(answer.rcode())}.",
            hint="It holds no such zone, cannot load it, or does not let this machine ask.",
            code="name_server_failed",
        )
    return answer


def ask(server: NameServer, name: str) -> Said:
    """Ask a name server for the A, AAAA and CNAME records of a name."""
    records = []
    for kind in KINDS:
        try:
            answer = question(server, name, kind)
            if not answer.flags & dns.flags.AA:
                return Said(server, fault=_no_zone(server, name, answer).message.rstrip("."))
            found = records_in(answer, name, kind)
        except DnsError as error:
            return Said(server, fault=error.message.rstrip("."))
        if found is not None:
            records.append(found)
            if kind == "CNAME":
                break  # a name with a CNAME has nothing else
    return Said(server, tuple(records))


def ask_all(servers: Sequence[NameServer], name: str) -> tuple[Said, ...]:
    """Ask several name servers at the same time."""
    if not servers:
        return ()
    with ThreadPoolExecutor(max_workers=len(servers)) as pool:
        return tuple(pool.map(lambda server: ask(server, name), servers))


def records_in(answer: dns.message.Message, name: str, kind: str) -> RecordSet | None:
    """Return the records of one type that an answer has for a name, or None."""
    wanted = dns.rdatatype.from_text(kind)
    for each in answer.answer:
        if each.name == parse_name(name) and each.rdtype == wanted:
            return RecordSet.of(name, kind, [entry.to_text() for entry in each], each.ttl)
    return None


def wait_until_served(
    servers: Sequence[NameServer],
    name: str,
    wanted: Sequence[RecordSet],
    *,
    seconds: float,
    cancelled: Cancelled = lambda: False,
) -> tuple[Said, ...]:
    """Ask name servers until all of them say what is wanted, or time is up.

    Args:
        servers: The zone's own name servers.
        name: The name.
        wanted: The records; their TTL is not compared.
        seconds: How long to ask.
        cancelled: Ends the waiting.

    Returns:
        What each of them said last.
    """
    end = time.monotonic() + seconds
    pause = 0.2
    while True:
        said = ask_all(servers, name)
        if all(is_said(each, wanted) for each in said):
            return said
        if time.monotonic() >= end or cancelled():
            return said
        until = min(end, time.monotonic() + pause)
        while time.monotonic() < until and not cancelled():
            time.sleep(0.05)
        pause = min(5.0, pause * 1.5)


def is_said(said: Said, wanted: Sequence[RecordSet]) -> bool:
    """Whether a name server says what is wanted, whatever the TTL."""
    here = {each.kind: each.values for each in said.records}
    return not said.fault and here == {each.kind: each.values for each in wanted}


def _no_zone(server: NameServer, name: str, answer: dns.message.Message) -> DnsError:
    """Say what a name server that is not the one to ask says instead."""
    for each in answer.authority:
        if each.rdtype == dns.rdatatype.NS and each.name != dns.name.root:
            others = ", ".join(sorted(entry.target.to_text(True) for entry in each))
            return DnsError(
                f"the name server {server} has handed {each.name.to_text(True)} on to {others}.",
                hint=f"Changes for {name} have to go there.",
                code="zone_elsewhere",
            )
    return DnsError(f"the name server {server} holds no zone that {name} is in.", code="no_zone")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (dns.exception.Timeout, dns.resolver.NoNameservers, dns.resolver.LifetimeTimeout) as e:
        raise DnsError(
            f"{what} cannot be found: this machine's name servers do not answer.",
            hint="Is the network up? dns.nameservers names others to ask.",
            code="resolver_silent",
        ) from e
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.NoRootSOA) as error:
        raise DnsError(
            f"{what} cannot be found: it does not exist.",
            hint="Register the domain, or name its name servers in dns.nameservers.",
            code="no_zone",
        ) from error
    except dns.exception.DNSException as error:
        raise DnsError(f"{what} cannot be found: {_why(error)}.") from error


def _why(error: BaseException) -> str:
    if isinstance(error, OSError):
        return in_words(error)
    return (str(error) or "its answer makes no sense").rstrip(".")


def answered_within(seconds: float, title: str, work: Callable[[], _Result]) -> _Result:
    """Do something that asks a provider, and give up on an answer that takes too long.

    Args:
        seconds: How long all of it may take.
        title: Who is asked, for people.
        work: What to do.

    Raises:
        DnsError: It took longer.
    """
    try:
        return within(seconds, work)
    except TimeoutError as error:
        raise DnsError(
            f"{title} does not answer within {seconds:g} s.",
            hint="'moorage dns plan FILE' shows what the records are now. Try again later.",
            code="dns_failed",
        ) from error
