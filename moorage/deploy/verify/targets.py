"""The addresses at which a registry is checked from outside."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from moorage.answers.model import Answers
from moorage.dns.local_resolver import has_ipv6, resolve_locally


@dataclass(frozen=True)
class Target:
    """A server as clients see it.

    Attributes:
        server: The server's label.
        address: An IP address or host name.
        way: IPv4 or IPv6, where both are checked; else empty.
        is_balanced: Whether a load balancer, or a proxy on the server, answers there.
    """

    server: str
    address: str
    port: int
    way: str = ""
    is_balanced: bool = False


def targets_of(answers: Answers, addresses: Mapping[str, str]) -> tuple[Target, ...]:
    """Return where to check each server: over IPv4 and IPv6, if its name has both.

    Names are looked up on this machine; the servers are not asked.

    Args:
        answers: What the operator decided.
        addresses: Where clients reach each server, by label.
    """
    registry = answers.registry
    if registry.listen and all(ipaddress.ip_address(each).is_loopback for each in registry.listen):
        # Only a proxy on the same server can reach it.
        return tuple(Target(label, registry.domain, 443, is_balanced=True) for label in addresses)
    found: list[Target] = []
    for label, address in addresses.items():
        ways = dict(_ways(address))
        if len(answers.servers) == 1:
            ways = {**dict(_ways(registry.domain)), **ways}
        if len(ways) > 1 and not has_ipv6():
            ways.pop("IPv6")
        # A name that cannot be resolved is tried as it is: the check reports the error.
        for way, where in sorted(ways.items()) or [("", address)]:
            found.append(Target(label, where, registry.port, way if len(ways) > 1 else ""))
    return tuple(found)


def _ways(name: str) -> Iterator[tuple[str, str]]:
    """Yield the first address of each family of a name."""
    seen: set[str] = set()
    for address in resolve_locally(name):
        way = "IPv6" if ":" in address else "IPv4"
        if way not in seen:
            seen.add(way)
            yield way, address
