"""Networks: errors in words, and limits on how long an answer may take as a whole.

The failover service brings this along: nothing but the standard library.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")

_NOT_TLS = {
    "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST",
    "PACKET_LENGTH_TOO_LONG", "BAD_RECORD_TYPE", "RECORD_LAYER_FAILURE", "UNSUPPORTED_PROTOCOL",
}  # fmt: skip
"""What OpenSSL calls an answer that is of another protocol."""
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}
"""X509_V_ERR_*, as openssl-verify(1) lists them."""


def is_not_tls(error: OSError) -> bool:
    """Whether a handshake failed because the other side speaks something else."""
    return isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS


def is_closed(error: OSError) -> bool:
    """Whether the other side closed the connection."""
    return isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError)


def in_words(error: OSError) -> str:
    """Return what went wrong with a connection, for people, without a full stop.

    Args:
        error: What a socket raised.
    """
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
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
        return "what answers does not speak TLS"
    reason = (error.reason or "").lower().replace("_", " ")
    return f"the TLS handshake failed: {reason}" if reason else "the TLS handshake failed"


def _certificate_in_words(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "the certificate has expired"
    if error.verify_code == _NOT_YET:
        return "the certificate is not valid yet, or this machine's clock is wrong"
    if error.verify_code in {_OTHER_NAME, _OTHER_ADDRESS}:
        name = error.verify_message.partition("not valid for ")[2].strip("'.")
        return f"the certificate is for another name than {name or 'this'}"
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return "the certificate is from an authority that this machine does not trust"
    return f"the certificate is not trusted: {error.verify_message}".rstrip(".")


def within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Do something that asks others, in a thread that is left behind when it takes too long.

    The timeouts of libraries begin anew with every byte, and one a second never ends.

    Args:
        seconds: How long all of it may take.
        work: What to do.

    Raises:
        TimeoutError: It took longer.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="asking", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s")
    if errors:
        raise errors[0]
    return results[0]
