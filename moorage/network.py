"""Network errors as messages, and overall time limits for network calls.

The failover service ships this module: import only the standard library here.
"""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")

_NOT_TLS = {
    "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST",
    "PACKET_LENGTH_TOO_LONG", "BAD_RECORD_TYPE", "RECORD_LAYER_FAILURE", "UNSUPPORTED_PROTOCOL",
}  # fmt: skip
"""OpenSSL's reasons for a peer that does not speak TLS."""
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}
"""X509_V_ERR_*, as openssl-verify(1) lists them."""


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_not_tls(error: OSError) -> bool:
    """Whether a handshake failed because the other side speaks something else."""
    return isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS


def is_closed(error: OSError) -> bool:
    """Whether the other side closed the connection."""
    return isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError)


def in_words(error: OSError) -> str:
    """Describe a connection error in a phrase without a full stop.

    Args:
        error: The error a socket raised.
    """
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if is_closed(error):
        return "the other side closed the connection"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return _tls_in_words(error)
    return (error.strerror or "the connection failed").rstrip(".").lower()


def _tls_in_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_in_words(error)
    if is_not_tls(error):
        return "the other side does not speak TLS"
    reason = (error.reason or "").lower().replace("_", " ")
    return f"the TLS handshake failed: {reason}" if reason else "the TLS handshake failed"


def _certificate_in_words(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "the certificate has expired"
    if error.verify_code == _NOT_YET:
        return "the certificate is not valid yet, or this machine's clock is wrong"
    if error.verify_code in {_OTHER_NAME, _OTHER_ADDRESS}:
        name = error.verify_message.partition("not valid for ")[2].strip("'.")
        return f"the certificate is not valid for {name or 'this name'}"
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return "the certificate was issued by an authority that this machine does not trust"
    return f"the certificate is not trusted: {error.verify_message}".rstrip(".")


def within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Run a network call in a thread and abandon the thread if it takes too long.

    Library timeouts restart with every byte: a peer that sends one byte a second never hits them.

    Args:
        seconds: Time limit for the whole call.
        work: The call.

    Raises:
        TimeoutError: The call took longer.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # re-raised in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="network-call", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s")
    if errors:
        raise errors[0]
    return results[0]
