"""Read and extend known_hosts files the way OpenSSH does (sshd(8))."""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path

from moorage.errors import CannotConnect
from moorage.local_file import MEBIBYTE, LocalFileError, read_file

_LARGEST = 64 * MEBIBYTE

decision_lock = threading.Lock()
"""Held while the operator is asked about a host key, so that no key is asked about twice."""


@dataclass(frozen=True)
class KnownKey:
    """A line of a known_hosts file that applies to a host.

    Attributes:
        file: The file.
        line: The line in it, from 1.
        marker: Empty, ``@revoked`` or ``@cert-authority``.
        kind: The key's type, for example ``ssh-ed25519``.
        blob: The key in the SSH wire format.
        pattern: The line's host names if they are a pattern, else empty.
    """

    file: Path
    line: int
    marker: str
    kind: str
    blob: bytes
    pattern: str = ""

    def removal_advice(self, written: str) -> str:
        """Return how to remove the key.

        Args:
            written: The host in known_hosts format.
        """
        if self.pattern:
            # ssh-keygen -R would remove the line for the other hosts, too.
            return f"edit line {self.line} of {self.file}, which applies to {self.pattern}."
        return f"ssh-keygen -R '{written}' -f '{self.file}'"


class KeyStatus(Enum):
    """The status of a host key according to known_hosts."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


def address(name: str, port: int) -> str:
    """Return a host and port in known_hosts format: the port only if it is not 22."""
    return name if port == 22 else f"[{name}]:{port}"


def fingerprint(blob: bytes) -> str:
    """Return a key's SHA-256 fingerprint as ssh prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def known_keys(files: Sequence[Path], name: str, port: int) -> list[KnownKey]:
    """Return the lines that apply to a host.

    Args:
        files: The known_hosts files; missing ones count as empty.
        name: The host's name, address or HostKeyAlias.
        port: Its SSH port.
    """
    host = address(name.lower(), port)
    found = []
    for file in files:
        try:
            text = read_file(file, "known_hosts file", largest=_LARGEST).decode(errors="replace")
        except LocalFileError as error:
            if error.is_missing:
                continue
            raise CannotConnect(
                error.message, advice=error.advice, code="known_hosts_unreadable"
            ) from None
        for number, line in enumerate(text.splitlines(), start=1):
            key = _parse(line, host, file, number)
            if key is not None:
                found.append(key)
    return found


def compare(known: Sequence[KnownKey], kind: str, blob: bytes) -> tuple[KeyStatus, KnownKey | None]:
    """Compare a server's key with the known keys.

    A server whose known keys are all of other types counts as changed: those types were requested
    first.

    Args:
        known: The keys from :func:`known_keys`.
        kind: The server's key type.
        blob: The server's key.

    Returns:
        The status, and the line that decided it.
    """
    for key in known:
        if key.marker == "@revoked" and key.blob == blob:
            return KeyStatus.REVOKED, key
    plain = [key for key in known if not key.marker]
    for key in plain:
        if key.blob == blob:
            return KeyStatus.KNOWN, key
    for key in sorted(plain, key=lambda key: key.kind != kind):
        return KeyStatus.CHANGED, key
    return KeyStatus.UNKNOWN, None


def key_status(
    files: Sequence[Path], name: str, port: int, kind: str, blob: bytes
) -> tuple[KeyStatus, KnownKey | None]:
    """Look up a server's key.

    As in OpenSSH, a line without a port also matches a key on another port, but never makes it
    count as changed.

    Args:
        files: The known_hosts files.
        name: The host's name, address or HostKeyAlias.
        port: Its SSH port.
        kind: The server's key type.
        blob: The server's key.

    Returns:
        The status, and the line that decided it.
    """
    result = compare(known_keys(files, name, port), kind, blob)
    if result[0] is KeyStatus.UNKNOWN and port != 22:
        without_port = compare(known_keys(files, name, 22), kind, blob)
        if without_port[0] is not KeyStatus.CHANGED:
            return without_port
    return result


def is_certified(known: Sequence[KnownKey], name: str, kind: str, blob: bytes) -> bool:
    """Return whether a host certificate is valid and signed by one of the host's authorities.

    Args:
        known: The keys from :func:`known_keys`.
        name: The name or address the server was reached by, or its HostKeyAlias.
        kind: The certificate's type.
        blob: The certificate.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization

    line = f"{kind} {base64.b64encode(blob).decode()}".encode()
    try:
        certificate = serialization.load_ssh_public_identity(line)
        if not isinstance(certificate, serialization.SSHCertificate):
            return False
        certificate.verify_cert_signature()
    except (ValueError, InvalidSignature):
        return False
    authority = certificate.signature_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    signer = base64.b64decode(authority.split()[1])
    markers = {key.marker for key in known if key.blob == signer}
    return (
        "@cert-authority" in markers
        and "@revoked" not in markers
        and certificate.type is serialization.SSHCertificateType.HOST
        and certificate.valid_after <= time.time() < certificate.valid_before
        and name.lower().encode() in [one.lower() for one in certificate.valid_principals]
        and not certificate.critical_options
    )


def add_key(file: Path, name: str, port: int, kind: str, blob: bytes, *, hashed: bool) -> None:
    """Add a key to a known_hosts file, creating the file if it is missing.

    Args:
        file: The file.
        name: The host's name, address or HostKeyAlias.
        port: Its SSH port.
        kind: The key's type.
        blob: The key.
        hashed: Whether to hash the name (HashKnownHosts).

    Raises:
        CannotConnect: The file cannot be written.
    """
    written = address(name.lower(), port)
    if hashed:
        salt = os.urandom(20)
        written = f"|1|{base64.b64encode(salt).decode()}|{_hash(written, salt)}"
    line = f"{written} {kind} {base64.b64encode(blob).decode()}\n".encode()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise CannotConnect(
            f"The accepted host key cannot be written to {file}: {error.strerror}.",
            advice="Make the file writable, or set UserKnownHostsFile in ~/.ssh/config.",
            code="known_hosts_unwritable",
        ) from error


def _parse(line: str, host: str, file: Path, number: int) -> KnownKey | None:
    fields = line.split()
    marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
    if len(fields) < 3 or fields[0].startswith("#") or not _matches(fields[0], host):
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    is_pattern = not fields[0].startswith("|") and bool(set("*?") & set(fields[0]))
    return KnownKey(file, number, marker, fields[1], blob, fields[0] if is_pattern else "")


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("|1|"):
        salt, _, digest = pattern[3:].partition("|")
        try:
            return hmac.compare_digest(_hash(host, base64.b64decode(salt)), digest)
        except (binascii.Error, ValueError, TypeError):
            return False
    matched = False
    for part in pattern.lower().split(","):
        # Escape the brackets of [host]:port for fnmatch.
        if fnmatchcase(host, part.lstrip("!").replace("[", "[[]")):
            if part.startswith("!"):
                return False
            matched = True
    return matched


def _hash(name: str, salt: bytes) -> str:
    return base64.b64encode(hmac.new(salt, name.encode(), hashlib.sha1).digest()).decode()
