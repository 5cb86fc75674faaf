"""What this machine itself finds for a name."""

from __future__ import annotations

import ipaddress
import socket

from moorage.network import within

_SECONDS = 20


def addresses_here(name: str) -> tuple[str, ...]:
    """Return the addresses this machine finds for a name in time, as every program on it does.

    Args:
        name: A name, or an address, which is its own.
    """
    try:
        return (str(ipaddress.ip_address(name.strip("[]"))),)
    except ValueError:
        pass
    try:
        # With name servers that do not answer it may take minutes.
        found = within(_SECONDS, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return ()
    return tuple(sorted({str(entry[4][0]).partition("%")[0] for entry in found}))


def is_reached_from_elsewhere(address: str) -> bool:
    """Whether an address means the same machine to others: not their own, and not one link's.

    Args:
        address: An IP address.
    """
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def has_ipv6() -> bool:
    """Whether this machine has a way out over IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1", 53))  # sends nothing; the kernel looks for a route
    except OSError:
        return False
    return True
