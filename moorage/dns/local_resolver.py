"""Name resolution with this machine's own resolver."""

from __future__ import annotations

import ipaddress
import socket

from moorage.network import within

_SECONDS = 20


def resolve_locally(name: str) -> tuple[str, ...]:
    """Resolve a name as any program on this machine would; empty if it takes too long.

    Args:
        name: A name, or an address, which is returned as it is.
    """
    try:
        return (str(ipaddress.ip_address(name.strip("[]"))),)
    except ValueError:
        pass
    try:
        # With unresponsive name servers this can take minutes.
        entries = within(_SECONDS, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return ()
    return tuple(sorted({str(entry[4][0]).partition("%")[0] for entry in entries}))


def is_usable_remotely(address: str) -> bool:
    """Whether other machines can use an address: not loopback, link-local or unspecified.

    Args:
        address: An IP address.
    """
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def has_ipv6() -> bool:
    """Whether this machine has a default route for IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1", 53))  # sends nothing; the kernel looks up a route
    except OSError:
        return False
    return True
