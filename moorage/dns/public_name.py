"""Whether the internet reaches the servers under the registry's name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from moorage.dns.local_resolver import resolve_locally


def public_addresses_of(domain: str, servers: Iterable[str]) -> tuple[str, ...]:
    """Return the public addresses of servers that a name resolves to.

    Args:
        domain: The registry's name.
        servers: The address or host name at which clients reach each server.
    """
    own = {address for server in servers for address in resolve_locally(server)}
    return tuple(
        address
        for address in resolve_locally(domain)
        if address in own and ipaddress.ip_address(address).is_global
    )
