"""Check a registry at one address, like a client: ``/v2/`` over TLS under the registry's name."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass

from moorage.network import in_words

_EXPECTED_STATUS = 401
"""A working registry requires a password."""


@dataclass(frozen=True)
class Registry:
    """The registry to check.

    Attributes:
        domain: The registry's name in SNI, the Host header and the certificate.
        port: Its port.
        tls: Whether it uses TLS.
        authority: PEM of a CA to trust besides the system's, or None.
    """

    domain: str
    port: int
    tls: bool = True
    authority: str | None = None


def find_fault(registry: Registry, address: str, timeout: float) -> str:
    """Return what is wrong with the registry at an address, or empty.

    Args:
        registry: The registry.
        address: An IP address.
        timeout: Time limit for the whole check in seconds.
    """
    end = time.monotonic() + timeout
    try:
        with socket.create_connection((address, registry.port), timeout=timeout) as plain:
            plain.settimeout(_left(end))
            if not registry.tls:
                return _ask(plain, registry, end)
            context = ssl.create_default_context()
            if registry.authority:
                context.load_verify_locations(cadata=registry.authority)
                # With a private ACME directory it is an intermediate.
                context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            with context.wrap_socket(plain, server_hostname=registry.domain) as secured:
                return _ask(secured, registry, end)
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return in_words(error)
    except ValueError as error:
        return str(error) or "the registry's name or address is not valid"


def _ask(connection: socket.socket, registry: Registry, end: float) -> str:
    default = 443 if registry.tls else 80
    host = registry.domain if registry.port == default else f"{registry.domain}:{registry.port}"
    connection.settimeout(_left(end))
    connection.sendall(
        f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\nUser-Agent: moorage-failover\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    received = b""
    while b"\r\n" not in received and len(received) < 1024:
        connection.settimeout(_left(end))
        chunk = connection.recv(1024)
        if not chunk:
            break
        received += chunk
    words = received.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return "the response is not HTTP"
    status = int(words[1])
    if status == _EXPECTED_STATUS:
        return ""
    return f"/v2/ returned status {status}, expected {_EXPECTED_STATUS}"


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
