"""What about a name will surprise somebody later: found out before anything is changed."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moorage.dns.caa import permission_for
from moorage.dns.cloudflare import is_cloudflare
from moorage.dns.local_resolver import addresses_here, has_ipv6
from moorage.dns.lookup import (
    Cancelled,
    NameServer,
    Said,
    ask,
)
from moorage.dns.operations import DnsCheck

_TIMEOUT = 3.0


@dataclass(frozen=True)
class Finding:
    """Something about a name that somebody should know.

    Attributes:
        code: A stable identifier.
        message: What it is and what comes of it.
        hint: What to do about it.
    """

    code: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def find(
    check: DnsCheck,
    *,
    port: int = 443,
    addresses6: Sequence[str] | None = None,
    serving6: Sequence[str] = (),
    authority: str = "",
    cancelled: Cancelled = lambda: False,
) -> tuple[Finding, ...]:
    """Return what is to be known about a name before people use it.

    Args:
        check: What the name servers and this machine say.
        port: The registry's port.
        addresses6: The global IPv6 addresses of all servers, where they were read; None otherwise.
        serving6: Those of them whose registry listens on the port already, which is tried.
        authority: Who will issue the certificate, as CAA records call it; empty when nobody asks.
        cancelled: Ends the search.
    """
    found: list[Finding] = []
    for search in (
        _silent(check),
        _disagreement(check),
        _proxy(check),
        _caa(check, authority),
        _ipv6(check, port, addresses6, serving6),
        _split_horizon(check),
        _wildcard(check),
    ):
        if cancelled():
            break
        found += search
    return tuple(found)


def _answering(check: DnsCheck) -> list[Said]:
    return [each for each in check.said if not each.fault]


def _silent(check: DnsCheck) -> Iterator[Finding]:
    if not _answering(check):
        return
    for each in check.said:
        if each.fault:
            yield Finding(
                "name_server_silent",
                f"{each.fault[0].upper()}{each.fault[1:]}.",
                f"Clients that ask it fail to find {check.name}, or wait.",
            )


def _disagreement(check: DnsCheck) -> Iterator[Finding]:
    said = _answering(check)
    if len({each.values for each in said}) < 2:
        return
    answers = "; ".join(
        f"{each.server} says {', '.join(sorted(each.values)) or 'nothing'}" for each in said
    )
    yield Finding(
        "name_servers_disagree",
        f"The name servers of {check.zone} disagree about {check.name}: {answers}.",
        "Which one a client asks is chance. After a change that can last until all have copied "
        "the zone; otherwise look at the transfers between them.",
    )


def _proxy(check: DnsCheck) -> Iterator[Finding]:
    values = {value for each in check.said for value in each.values} | set(check.here)
    proxied = sorted(value for value in values if is_cloudflare(value))
    if proxied:
        yield Finding(
            "cdn_proxy",
            f"{check.name} leads to Cloudflare's proxy ({', '.join(proxied)}), which refuses "
            "uploads of more than 100 MB, whatever nginx allows: larger layers cannot be pushed.",
            "Switch the record to 'DNS only' at Cloudflare.",
        )


def _caa(check: DnsCheck, authority: str) -> Iterator[Finding]:
    if not authority or not check.said:
        return
    servers = [each.server for each in check.said]
    allowed = permission_for(check.name, check.zone, servers)
    if allowed is None or allowed.allows(authority):
        return
    who = ", ".join(allowed.issuers) or "nobody"
    unknown = f" (and hold unknown critical properties: {', '.join(allowed.unknown)})"
    yield Finding(
        "caa_forbids",
        f"The CAA records at {allowed.at} let {who} issue certificates"
        f"{unknown if allowed.unknown else ''}, so {authority} will refuse one for {check.name}.",
        f'Add: {check.name} CAA 0 issue "{authority}".',
    )


def _ipv6(
    check: DnsCheck, port: int, addresses6: Sequence[str] | None, serving6: Sequence[str]
) -> Iterator[Finding]:
    leads_to = {
        value
        for each in (*(r for s in check.said for r in s.records), *check.wanted)
        if each.kind == "AAAA"
        for value in each.values
    }
    for value in sorted(leads_to):
        if addresses6 is not None and value not in addresses6:
            has = ", ".join(addresses6) or "none"
            why = f"is no address of any server (their global IPv6 addresses: {has})"
            otherwise = "give the server that address"
        else:
            is_tried = addresses6 is None or value in serving6
            if not is_tried or not has_ipv6() or _answers(value, port):
                continue
            why = f"does not answer on port {port}"
            otherwise = f"open port {port} for IPv6 in the firewalls of the server and its provider"
        yield Finding(
            "ipv6_unreachable",
            f"{check.name} has an AAAA record to {value}, and that {why}. Clients with IPv6 try it "
            "first and wait, or fail.",
            f"Remove the AAAA record, or {otherwise}.",
        )


def _split_horizon(check: DnsCheck) -> Iterator[Finding]:
    said = _answering(check)
    if not said or any(each.kind == "CNAME" for each in said[0].records):
        return
    public = said[0].values
    here = frozenset(check.here)
    if not here or not public or here == public:
        if here and not public:
            yield Finding(
                "split_horizon",
                f"This machine finds {', '.join(sorted(here))} for {check.name}, and the name "
                f"servers of {check.zone} say that there is nothing.",
                "Look at /etc/hosts and at the resolver of this network; others see no record.",
            )
        return
    yield Finding(
        "split_horizon",
        f"This machine finds {', '.join(sorted(here))} for {check.name}, and the name servers of "
        f"{check.zone} say {', '.join(sorted(public))}.",
        "Either an old answer is still cached, or this network has answers of its own (split "
        "horizon, /etc/hosts): then people elsewhere see something else than you.",
    )


def _wildcard(check: DnsCheck) -> Iterator[Finding]:
    said = _answering(check)
    parent = check.name.partition(".")[2]
    if not said or not parent:
        return
    sibling = f"moorage-{secrets.token_hex(6)}.{parent}"
    values = _leads_to(said[0].server, sibling) or addresses_here(sibling)
    if not values:
        return
    yield Finding(
        "wildcard",
        f"Every name below {parent} leads to {', '.join(values)}: {sibling} does, and nobody made "
        "it.",
        f"A mistyped name reaches that machine, logins included, and {check.name} seems to exist "
        "wherever its own record does not. Is the wildcard record wanted?",
    )


def _leads_to(server: NameServer, name: str) -> tuple[str, ...]:
    said = ask(server, name)
    return tuple(sorted(said.values))


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_TIMEOUT):
            return True
    except OSError:
        return False
