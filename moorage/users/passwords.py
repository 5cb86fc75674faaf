"""Generate, check, hash and verify the passwords of the registry's users."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from typing import Any, Literal

from moorage.answers.secrets import Secret

Scheme = Literal["bcrypt", "sha512"]
"""The hash of new passwords: bcrypt, or SHA-512 crypt if nginx cannot cache the checks."""

BCRYPT_COST = 12
MAX_BYTES = 72
"""bcrypt ignores the rest of a password."""
_loading = threading.Lock()


def generate_password() -> Secret:
    """Return a new password of 128 random bits, 22 letters, digits, ``-`` and ``_``."""
    return Secret(secrets.token_urlsafe(16))


def hash_password(password: Secret, scheme: Scheme = "bcrypt") -> str:
    """Return a hash in htpasswd format, which nginx reads."""
    if scheme == "sha512":
        return str(_crypt().sha512_crypt.using(rounds=5000).hash(password.reveal()))
    import bcrypt

    salt = bcrypt.gensalt(BCRYPT_COST, prefix=b"2b")
    # $2b$ and $2y$ are the same algorithm; htpasswd writes $2y$.
    return bcrypt.hashpw(password.reveal().encode(), salt).decode().replace("$2b$", "$2y$", 1)


def verify_password(password: Secret, value: str) -> bool:
    """Return whether a password matches a bcrypt, apr1 or SHA-crypt hash.

    Returns:
        False also if only the servers can verify the hash: yescrypt, and unusual salts.
    """
    if value.startswith("$2"):
        import bcrypt

        try:
            return bcrypt.checkpw(password.reveal().encode(), b"$2b$" + value[4:].encode())
        except ValueError:
            return False
    crypt = _crypt()
    for scheme in (crypt.apr_md5_crypt, crypt.sha256_crypt, crypt.sha512_crypt):
        if scheme.identify(value):
            try:
                return bool(scheme.verify(password.reveal(), value))
            except ValueError:  # a salt that only nginx accepts
                return False
    return False


def _crypt() -> Any:
    """Return libpass's hashes, made ready: it does so on first use, which threads cannot share."""
    with _loading:
        from passlib import hash as hashes
        from passlib.utils.binary import h64

        _ = h64.charmap
    return hashes


def password_problem(password: Secret) -> str:
    """Return why a password cannot be used, or empty."""
    text = password.reveal()
    if not text:
        return "the password is empty"
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_BYTES:
        return f"the password is too long for bcrypt: {size} bytes (maximum {MAX_BYTES})"
    if any(unicodedata.category(character) == "Cc" for character in text):
        return "the password contains a control character"
    return ""


def hash_kind(value: str) -> str:
    """Return the kind of a hash: bcrypt, yescrypt, apr1, SHA-256, SHA-512 or unknown."""
    kinds = {"$2": "bcrypt", "$a": "apr1", "$5": "SHA-256", "$6": "SHA-512", "$y": "yescrypt"}
    return kinds.get(value[:2], "unknown")
