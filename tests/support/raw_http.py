"""Raw HTTP requests that no well-behaved client would send."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Reply:
    """The response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def everything(self) -> bytes:
        """Headers and body, for searches."""
        return repr(self.headers).encode() + self.body


@dataclass(frozen=True)
class Wire:
    """Requests to one server, each over its own TLS connection, without certificate checks.

    Attributes:
        address: The server's address.
        domain: The name in the handshake and in Host headers.
    """

    address: str
    domain: str

    def ask(
        self,
        method: str,
        target: str,
        *,
        login: tuple[str, str] | None = None,
        headers: tuple[str, ...] = (),
        body: bytes = b"",
        version: str = "1.1",
    ) -> Reply:
        """Send a request with an unmodified target.

        Args:
            method: The method, which need not be valid.
            target: The request's target.
            login: User and password.
            headers: Additional header lines.
            body: The body.
            version: The HTTP version.
        """
        lines = [f"{method} {target} HTTP/{version}", f"Host: {self.domain}", "Connection: close"]
        if login is not None:
            lines.append(basic(*login))
        if body or method in {"POST", "PUT", "PATCH"}:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, *headers]) + "\r\n\r\n"
        return self.send(head.encode("latin-1") + body, method)

    def send(self, request: bytes, method: str = "GET") -> Reply:
        """Send bytes and return the response.

        Args:
            request: The complete request.
            method: The method to parse the response for.
        """
        with (
            socket.create_connection((self.address, 443), timeout=20) as plain,
            _trusting_context().wrap_socket(plain, server_hostname=self.domain) as connection,
        ):
            connection.sendall(request)
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, headers, response.read())


@cache
def _trusting_context() -> ssl.SSLContext:
    """Cached: creating a context loads all CA certificates, which takes longer than a request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def basic(user: str, password: str) -> str:
    """Return the Authorization header line for a login."""
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
