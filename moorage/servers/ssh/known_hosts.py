"""Who a server is: known_hosts files, read and added to the way OpenSSH does (sshd(8))."""

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

deciding = threading.Lock()
"""Held while somebody is asked about a key, so that the same one is not asked about twice."""


@dataclass(frozen=True)
class KnownKey:
    """A line of a known_hosts file that applies to a host.

    Attributes:
        file: The file.
        line: The line in it, from 1.
        marker: Empty, ``@revoked`` or ``@cert-authority``.
        kind: The key's type, for example ``ssh-ed25519``.
        blob: The key itself, in the SSH wire format.
        pattern: The names it is for, as they are written there, when that is a pattern.
    """

    file: Path
    line: int
    marker: str
    kind: str
    blob: bytes
    pattern: str = ""

    def how_to_forget(self, written: str) -> str:
        """Return how to take the key away.

        Args:
            written: The host, as known_hosts has it.
        """
        if self.pattern:
            # ssh-keygen -R would take the line away for the other hosts, too.
            return f"edit line {self.line} of {self.file}, which is for all of {self.pattern}."
        return f"ssh-keygen -R '{written}' -f '{self.file}'"


class Standing(Enum):
    """What known_hosts says about a key."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


def address(name: str, port: int) -> str:
    """Write a host and port as known_hosts does: the port only when it is not 22."""
    return name if port == 22 else f"[{name}]:{port}"


def fingerprint(blob: bytes) -> str:
    """The SHA-256 fingerprint of a key, as ssh prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def known_keys(files: Sequence[Path], name: str, port: int) -> list[KnownKey]:
    """Find the lines that apply to a host.

    Args:
        files: The known_hosts files; missing ones are empty.
        name: The host's name, address or HostKeyAlias.
        port: Its SSH port.
    """
    wanted = address(name.lower(), port)
    found = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise CannotConnect(
                f"The known host keys in {file} cannot be read: {error.strerror}.",
                advice="Make the file readable for yourself.",
                code="known_hosts_unreadable",
            ) from error
        for number, line in enumerate(text.splitlines(), start=1):
            key = _parse(line, wanted, file, number)
            if key is not None:
                found.append(key)
    return found


def judge(known: Sequence[KnownKey], kind: str, blob: bytes) -> tuple[Standing, KnownKey | None]:
    """Compare a shown key with the known ones.

    A host that is known by keys of other types only and does not show any of them counts as
    changed: it was asked for them first.

    Args:
        known: What :func:`known_keys` found.
        kind: The shown key's type.
        blob: The shown key.

    Returns:
        The verdict, and the line it comes from.
    """
    for key in known:
        if key.marker == "@revoked" and key.blob == blob:
            return Standing.REVOKED, key
    plain = [key for key in known if not key.marker]
    for key in plain:
        if key.blob == blob:
            return Standing.KNOWN, key
    for key in sorted(plain, key=lambda key: key.kind != kind):
        return Standing.CHANGED, key
    return Standing.UNKNOWN, None


def standing(
    files: Sequence[Path], name: str, port: int, kind: str, blob: bytes
) -> tuple[Standing, KnownKey | None]:
    """Look a shown key up.

    As in OpenSSH, a line without a port also recognises a key at another port, but never makes it
    count as changed.

    Args:
        files: The known_hosts files.
        name: The host's name, address or HostKeyAlias.
        port: Its SSH port.
        kind: The shown key's type.
        blob: The shown key.

    Returns:
        The verdict, and the line it comes from.
    """
    verdict = judge(known_keys(files, name, port), kind, blob)
    if verdict[0] is Standing.UNKNOWN and port != 22:
        without_port = judge(known_keys(files, name, 22), kind, blob)
        if without_port[0] is not Standing.CHANGED:
            return without_port
    return verdict


def is_certified(known: Sequence[KnownKey], name: str, kind: str, blob: bytes) -> bool:
    """Say whether a host certificate is good: one of the host's authorities signed it.

    Args:
        known: What :func:`known_keys` found.
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


def remember(file: Path, name: str, port: int, kind: str, blob: bytes, *, hashed: bool) -> None:
    """Add a key to a known_hosts file, which is created when it is missing.

    Args:
        file: The file.
        name: The host's name, address or HostKeyAlias.
        port: Its SSH port.
        kind: The key's type.
        blob: The key.
        hashed: Whether to write the name as a hash (HashKnownHosts).

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


def _parse(line: str, wanted: str, file: Path, number: int) -> KnownKey | None:
    fields = line.split()
    marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
    if len(fields) < 3 or fields[0].startswith("#") or not _names(fields[0], wanted):
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    is_pattern = not fields[0].startswith("|") and bool(set("*?") & set(fields[0]))
    return KnownKey(file, number, marker, fields[1], blob, fields[0] if is_pattern else "")


def _names(pattern: str, wanted: str) -> bool:
    if pattern.startswith("|1|"):
        salt, _, digest = pattern[3:].partition("|")
        try:
            return hmac.compare_digest(_hash(wanted, base64.b64decode(salt)), digest)
        except (binascii.Error, ValueError, TypeError):
            return False
    matched = False
    for part in pattern.lower().split(","):
        # [host]:port holds brackets, which mean something else to fnmatch.
        if fnmatchcase(wanted, part.lstrip("!").replace("[", "[[]")):
            if part.startswith("!"):
                return False
            matched = True
    return matched


def _hash(name: str, salt: bytes) -> str:
    return base64.b64encode(hmac.new(salt, name.encode(), hashlib.sha1).digest()).decode()
