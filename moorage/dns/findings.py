"""Detect DNS problems that would otherwise surface later, before anything is changed."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moorage.dns.caa import caa_policy
from moorage.dns.cloudflare import is_cloudflare
from moorage.dns.local_resolver import has_ipv6, resolve_locally
from moorage.dns.lookup import (
    Cancelled,
    NameServer,
    Reply,
    query_records,
)
from moorage.dns.operations import DnsCheck

_TIMEOUT = 3.0


@dataclass(frozen=True)
class Finding:
    """A problem with a name that the operator should know about.

    Attributes:
        code: A stable identifier.
        message: The problem and its consequences.
        advice: How to fix it.
    """

    code: str
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


def find(
    check: DnsCheck,
    *,
    port: int = 443,
    addresses6: Sequence[str] | None = None,
    serving6: Sequence[str] = (),
    authority: str = "",
    cancelled: Cancelled = lambda: False,
) -> tuple[Finding, ...]:
    """Return the problems with a name.

    Args:
        check: The replies of the name servers and of this machine's resolver.
        port: The registry's port.
        addresses6: The global IPv6 addresses of all servers; None if they were not read.
        serving6: Those of them whose registry already listens on the port; they are connected to.
        authority: The CAA identity of the certificate's issuer; empty skips the CAA check.
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


def _answering(check: DnsCheck) -> list[Reply]:
    return [each for each in check.replies if not each.fault]


def _silent(check: DnsCheck) -> Iterator[Finding]:
    if not _answering(check):
        return
    for each in check.replies:
        if each.fault:
            yield Finding(
                "name_server_silent",
                f"{each.fault[0].upper()}{each.fault[1:]}.",
                f"Clients that query it cannot resolve {check.name}, or have to wait.",
            )


def _disagreement(check: DnsCheck) -> Iterator[Finding]:
    replies = _answering(check)
    if len({each.values for each in replies}) < 2:
        return
    answers = "; ".join(
        f"{each.server} returns {', '.join(sorted(each.values)) or 'nothing'}" for each in replies
    )
    yield Finding(
        "name_servers_disagree",
        f"The name servers of {check.zone} disagree about {check.name}: {answers}.",
        "Clients get either answer. After a change this lasts until all of them have transferred "
        "the zone; otherwise check the zone transfers.",
    )


def _proxy(check: DnsCheck) -> Iterator[Finding]:
    values = {value for each in check.replies for value in each.values} | set(check.local_addresses)
    proxied = sorted(value for value in values if is_cloudflare(value))
    if proxied:
        yield Finding(
            "cdn_proxy",
            f"{check.name} points to Cloudflare's proxy ({', '.join(proxied)}), which rejects "
            "uploads over 100 MB regardless of nginx's limit: larger layers cannot be pushed.",
            "Set the record to 'DNS only' at Cloudflare.",
        )


def _caa(check: DnsCheck, authority: str) -> Iterator[Finding]:
    if not authority or not check.replies:
        return
    servers = [each.server for each in check.replies]
    allowed = caa_policy(check.name, check.zone, servers)
    if allowed is None or allowed.allows(authority):
        return
    issuers = f"only {', '.join(allowed.issuers)}" if allowed.issuers else "no authority"
    unknown = f" (and have unknown critical properties: {', '.join(allowed.unknown)})"
    yield Finding(
        "caa_forbids",
        f"The CAA records at {allowed.at} allow {issuers} to issue certificates"
        f"{unknown if allowed.unknown else ''}; {authority} will not issue one for {check.name}.",
        f'Add: {check.name} CAA 0 issue "{authority}".',
    )


def _ipv6(
    check: DnsCheck, port: int, addresses6: Sequence[str] | None, serving6: Sequence[str]
) -> Iterator[Finding]:
    targets = {
        value
        for each in (
            *(records for reply in check.replies for records in reply.records),
            *check.desired,
        )
        if each.kind == "AAAA"
        for value in each.values
    }
    for value in sorted(targets):
        if addresses6 is not None and value not in addresses6:
            has = ", ".join(addresses6) or "none"
            why = f"which is not an address of any server (their global IPv6 addresses: {has})"
            otherwise = "assign that address to the server"
        else:
            is_tried = addresses6 is None or value in serving6
            if not is_tried or not has_ipv6() or _answers(value, port):
                continue
            why = f"which does not answer on port {port}"
            otherwise = f"open port {port} for IPv6 in the server's and its provider's firewalls"
        yield Finding(
            "ipv6_unreachable",
            f"{check.name} has an AAAA record for {value}, {why}. Clients with IPv6 try it "
            "first and wait, or fail.",
            f"Remove the AAAA record, or {otherwise}.",
        )


def _split_horizon(check: DnsCheck) -> Iterator[Finding]:
    replies = _answering(check)
    if not replies or any(each.kind == "CNAME" for each in replies[0].records):
        return
    public = replies[0].values
    here = frozenset(check.local_addresses)
    if not here or not public or here == public:
        if here and not public:
            yield Finding(
                "split_horizon",
                f"{check.name} resolves to {', '.join(sorted(here))} on this machine, but the name "
                f"servers of {check.zone} have no record.",
                "Check /etc/hosts and this network's resolver; other clients cannot resolve it.",
            )
        return
    yield Finding(
        "split_horizon",
        f"{check.name} resolves to {', '.join(sorted(here))} on this machine, but the name servers "
        f"of {check.zone} return {', '.join(sorted(public))}.",
        "Either an old answer is still cached, or this network overrides the public records (split "
        "horizon, /etc/hosts); clients elsewhere then get different addresses.",
    )


def _wildcard(check: DnsCheck) -> Iterator[Finding]:
    replies = _answering(check)
    parent = check.name.partition(".")[2]
    if not replies or not parent:
        return
    sibling = f"moorage-{secrets.token_hex(6)}.{parent}"
    values = _values_at(replies[0].server, sibling) or resolve_locally(sibling)
    if not values:
        return
    yield Finding(
        "wildcard",
        f"{parent} has a wildcard record: {sibling}, which was never created, resolves to "
        f"{', '.join(values)}.",
        f"Mistyped names send clients and their passwords to that machine, and {check.name} "
        "resolves even without its own record. Remove the wildcard record if it is not needed.",
    )


def _values_at(server: NameServer, name: str) -> tuple[str, ...]:
    return tuple(sorted(query_records(server, name).values))


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_TIMEOUT):
            return True
    except OSError:
        return False
