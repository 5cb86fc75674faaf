"""A small client of the distribution API that reaches one server at its address."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, urlsplit

from moorage.answers.secrets import Secret
from moorage.deploy.logs.rows import CHECK_AGENT
from moorage.errors import MoorageError
from moorage.network import in_words, is_closed, is_not_tls

_TIMEOUT = 30
"""Seconds without any data."""
_REACH = 10
"""Seconds for a connection to open: enough for three lost packets."""
_DEADLINE = 60
"""Seconds until a response begins, even one that trickles in, and until its body is complete."""
_SLOWEST = 20_000
"""Bytes a second: a body that is slower than this on average is aborted."""
_LARGEST = 1 << 30
PROXY_LINE = b"PROXY UNKNOWN\r\n"
"""The PROXY protocol header (version 1) without information about the client."""


@dataclass(frozen=True)
class Answer:
    """A response; ``request`` names the request in messages, without its query."""

    request: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, or None."""
        return self.headers.get(name.lower())

    @property
    def excerpt(self) -> str:
        """The beginning of the body, for messages."""
        return self.body[:200].decode("utf-8", "replace").strip()


@dataclass(frozen=True)
class RegistryClient:
    """A client that connects to an address and requests a name there, regardless of DNS.

    Attributes:
        address: An IP address or host name.
        domain: The registry's name: the Host header, and what the certificate must be valid for.
        ca_certificate: PEM of a CA to trust besides the system's.
        is_proxied: Whether the server expects the PROXY protocol, as from a load balancer.
    """

    address: str
    port: int
    domain: str
    tls: bool
    ca_certificate: bytes | None = None
    user: str | None = None
    password: Secret | None = None
    is_proxied: bool = False

    def with_password(self, user: str, password: str) -> RegistryClient:
        """Return the same client with another login."""
        return replace(self, user=user, password=Secret(password))

    def certificate(self) -> Mapping[str, Any]:
        """Return the server's certificate after checking its chain, name and dates.

        Raises:
            MoorageError: It is not trusted, expired, or for another name.
        """
        with self._connect() as connection:
            assert isinstance(connection, ssl.SSLSocket)
            return connection.getpeercert() or {}

    def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return the response.

        Args:
            method: The HTTP method.
            target: A path, or an absolute URL of which path and query are used.
            body: The request's body; an iterable needs a Content-Length header.
            headers: More headers.

        Raises:
            MoorageError: The server cannot be reached, its certificate is not trusted, it does not
                speak HTTP, or the target, taken from an earlier response, is not a valid URL.
        """
        parts = split_address(target)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        sent = {
            "Host": self.host, "User-Agent": CHECK_AGENT, "Accept-Encoding": "identity",
            **(headers or {}),
        }  # fmt: skip
        if self.user is not None and self.password is not None:
            login = f"{self.user}:{self.password.reveal()}".encode()
            sent["Authorization"] = "Basic " + base64.b64encode(login).decode()
        connection = http.client.HTTPConnection(self.address, self.port, timeout=_TIMEOUT)
        connection.sock = self._connect()
        try:
            connection.request(method, path, body=body, headers=sent)
            with _ended_after(_DEADLINE, connection.sock):
                response = connection.getresponse()
            return Answer(
                f"{method} {parts.path}",
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                b"".join(_body(response)),
            )
        except (OSError, http.client.HTTPException) as error:
            raise _broken(f"{method} {parts.path}", error) from error
        finally:
            connection.close()

    def put_blob(self, location: str, blob: bytes, digest: str) -> Answer:
        """Finish an upload with the (rest of the) blob."""
        separator = "&" if "?" in location else "?"
        return self.request(
            "PUT",
            f"{location}{separator}digest={digest}",
            body=blob,
            headers={"Content-Type": "application/octet-stream"},
        )

    @property
    def host(self) -> str:
        default = 443 if self.tls else 80
        return self.domain if self.port == default else f"{self.domain}:{self.port}"

    def _open(self) -> socket.socket:
        try:
            plain = socket.create_connection((self.address, self.port), timeout=_REACH)
        except OSError as error:
            raise self._unreachable(error) from error
        plain.settimeout(_TIMEOUT)
        return plain

    def _unreachable(self, error: OSError) -> MoorageError:
        where = f"port {self.port} of {self.address}"
        if isinstance(error, TimeoutError):
            return MoorageError(
                f"{where} does not answer within {_REACH} s: a firewall seems to drop it.",
                advice=f"Let TCP port {self.port} through: in ufw or nftables on the server, and "
                "in the provider's firewall or security group.",
                code="registry_unreachable",
            )
        if isinstance(error, ConnectionRefusedError):
            return MoorageError(
                f"{where} refuses connections from here.",
                advice="Either nginx does not listen there, or a firewall rejects the connection.",
                code="registry_unreachable",
            )
        return MoorageError(
            f"{where} cannot be reached from this machine: {in_words(error)}.",
            advice="Check firewalls and routes between this machine and the server.",
            code="registry_unreachable",
        )

    def _connect(self) -> socket.socket:
        plain = self._open()
        try:
            if self.is_proxied:
                plain.sendall(PROXY_LINE)
            return self._secured(plain) if self.tls else plain
        except OSError as error:
            plain.close()
            raise self._no_handshake(error) from error

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """The trusted authorities; reading the system's takes longer than most requests."""
        context = ssl.create_default_context()
        if self.ca_certificate is not None:
            context.load_verify_locations(cadata=self.ca_certificate.decode())
            # It can be an intermediate that the operator chose to trust.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def _secured(self, plain: socket.socket) -> ssl.SSLSocket:
        secured = self._context.wrap_socket(
            plain, server_hostname=self.domain, do_handshake_on_connect=False
        )
        try:
            with _ended_after(_REACH, secured):
                secured.do_handshake()
        except OSError:
            secured.close()
            raise
        return secured

    def _no_handshake(self, error: OSError) -> MoorageError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return MoorageError(
                f"{in_words(error)}.",
                advice=_CERTIFICATE_ADVICE.format(port=self.port),
                code="certificate_untrusted",
            )
        where = f"port {self.port} of {self.address}"
        if isinstance(error, TimeoutError):
            what = f"{where} accepts the connection, then sends nothing for {_REACH} s."
        elif is_not_tls(error):
            what = f"{where} does not speak TLS."
        elif is_closed(error):
            what = f"{where} accepts the connection, then closes it during the TLS handshake."
        else:
            what = f"{where}: {in_words(error)}."
        return MoorageError(
            what,
            advice="Another program, another site or a middlebox answers on that port; check on "
            f"the server: ss -ltnp 'sport = :{self.port}'.",
            code="no_tls",
        )


def split_address(target: str) -> SplitResult:
    """Split a path or URL, which can come from a server.

    Raises:
        MoorageError: It is invalid.
    """
    try:
        target.encode("ascii")
        return urlsplit(target)
    except ValueError as error:
        raise MoorageError(
            "the server redirects to something that is not a valid URL.",
            advice=_LOG_ADVICE,
            code="bad_location",
        ) from error


_CERTIFICATE_ADVICE = (
    "If it is another site's certificate, that site has the address or the name; "
    "'moorage certificate show FILE' shows the certificate of each server on port {port}."
)


def _broken(request: str, error: OSError | http.client.HTTPException) -> MoorageError:
    """Return the error for a request without a valid response."""
    code, advice = "connection_lost", _LOG_ADVICE
    if isinstance(error, _TooSlow):
        code, what = "too_slow", f"the server answers too slowly ({error})"
    elif isinstance(error, TimeoutError):
        code, what = "too_slow", f"no response for {_TIMEOUT} s"
    elif isinstance(error, OSError):
        what = in_words(error)
    elif isinstance(error, http.client.IncompleteRead):
        what = "the response is incomplete"
    else:
        code, what = "no_http", "the server does not speak HTTP"
        advice = "Another program uses that port; 'ss -ltnp' on the server shows which."
    return MoorageError(f"{request}: {what}.", advice=advice, code=code)


_LOG_ADVICE = "See nginx's log on the server: /var/log/nginx/error.log."


class _TooSlow(TimeoutError):
    """The response as a whole takes too long."""


def _body(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield a response's body; abort one that trickles in or never ends."""
    began, size = time.monotonic(), 0
    while chunk := response.read1(1 << 20):
        size += len(chunk)
        took = time.monotonic() - began
        if took > _DEADLINE + size / _SLOWEST:
            raise _TooSlow(f"{size} bytes in {took:.0f} s")
        if size > _LARGEST:
            raise http.client.HTTPException("it does not end")
        yield chunk
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


@contextmanager
def _ended_after(seconds: float, connection: socket.socket) -> Iterator[None]:
    """Close a connection when the block takes too long: socket timeouts restart with each byte."""
    late = threading.Event()

    def end() -> None:
        late.set()
        # Not SSLSocket's own method, which is not safe to call from another thread.
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set():
        raise _TooSlow(f"no response within {seconds:g} s")
