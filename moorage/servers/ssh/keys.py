"""The operator's private keys in files and in the ssh agent: read, unlock, sign."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from paramiko import Message, SSHException
from paramiko.agent import AgentKey, AgentSSH

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect
from moorage.local_file import LocalFileError, expand, read_file, read_text
from moorage.servers.transport import MOST_PROMPTS
from moorage.state import short_path

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

USUAL_FILES = ("id_ed25519", "id_ecdsa", "id_rsa")
"""The key files in ~/.ssh to try by default."""

_OPENSSH_MAGIC = b"openssh-key-v1\0"
_CERTIFICATE = "-cert-v01@openssh.com"


class PassphraseWrongError(Exception):
    """The passphrase does not unlock the key file."""


@dataclass(frozen=True)
class PublicKey:
    """A public key or certificate as offered to a server.

    Attributes:
        kind: Its type, for example ``ssh-ed25519`` or ``ssh-rsa-cert-v01@openssh.com``.
        blob: The key or certificate in the SSH wire format.
    """

    kind: str
    blob: bytes

    @classmethod
    def parse(cls, line: str) -> PublicKey | None:
        """Parse a line of a ``.pub`` file; return None if it is not one."""
        fields = line.split()
        if len(fields) < 2:
            return None
        try:
            blob = base64.b64decode(fields[1], validate=True)
        except (binascii.Error, ValueError):
            return None
        kind = Message(blob).get_string().decode(errors="replace")
        return cls(fields[0], blob) if kind == fields[0] else None

    @property
    def certified(self) -> bytes | None:
        """The key that a certificate is for, in the wire format; None if this is not one.

        The key's own fields follow the certificate's type and nonce (OpenSSH, PROTOCOL.certkeys).
        """
        if not self.kind.endswith(_CERTIFICATE):
            return None
        plain = self.kind.removesuffix(_CERTIFICATE)
        is_token = plain.startswith("sk-")
        message = Message(self.blob)
        message.get_string()
        message.get_string()
        key = Message()
        key.add_string(f"{plain}@openssh.com" if is_token else plain)
        for _ in range((1 if "ed25519" in plain else 2) + is_token):
            key.add_string(message.get_string())
        return key.asbytes()


def offers_of(public: PublicKey, certificates: Sequence[PublicKey]) -> tuple[PublicKey, ...]:
    """Return the certificates that are for a key, and the key."""
    return (*(each for each in certificates if each.certified == public.blob), public)


@dataclass(frozen=True)
class Candidate:
    """A key to offer to a server.

    Attributes:
        name: Its name as shown to users: its file, or its comment in the agent.
        offers: The public key and certificate, best first; empty if not known before unlocking.
        file: The file, if the private key has to be read from there.
        agent_key: The key in the agent, if the agent holds it.
    """

    name: str
    offers: tuple[PublicKey, ...]
    file: KeyFile | None = None
    agent_key: AgentKey | None = None

    @property
    def is_locked(self) -> bool:
        """Whether it needs a passphrase before it can sign."""
        return self.file is not None and self.file.is_locked


class KeyFile:
    """A private key file.

    Attributes:
        path: The file.
        public: The public key, if it can be determined without the passphrase.
        is_locked: Whether it needs a passphrase.
    """

    def __init__(self, path: Path, certificates: Sequence[PublicKey] = ()) -> None:
        self.path = path
        data = read_file(path, "key")
        self._data = data
        self._digest = hashlib.sha256(data).digest()
        self._key: PrivateKey | None = None
        self.public = _public_half(path, data)
        beside = _beside(path, "-cert.pub")
        self._certificates = (*certificates, *([] if beside is None else [beside]))
        try:
            self._key = _load(data, None)
        except TypeError:
            self._key = _unlocked.get(self._digest)
        self.is_locked = self._key is None
        if self._key is not None:
            self.public = _public_of(self._key)

    @property
    def offers(self) -> tuple[PublicKey, ...]:
        """The certificates and the public key, best first."""
        return () if self.public is None else offers_of(self.public, self._certificates)

    def unlock(self, ask: Callable[[Secret | None], Secret | None]) -> bool:
        """Unlock the key, asking for its passphrase unless this process has unlocked it before.

        Args:
            ask: Returns the passphrase, given the previous answer if that was wrong, or None if the
                operator cannot be asked.

        Returns:
            Whether the key is unlocked.

        Raises:
            PassphraseWrongError: The passphrase is wrong.
        """
        # One at a time, so that several servers with the same key ask only once.
        with _unlocking:
            self._key = self._key or _unlocked.get(self._digest)
            if self._key is None:
                self._key = self._ask_and_load(ask)
                if self._key is None:
                    return False
                _unlocked[self._digest] = self._key
        self.is_locked = False
        self.public = _public_of(self._key)
        return True

    def _ask_and_load(self, ask: Callable[[Secret | None], Secret | None]) -> PrivateKey | None:
        rejected: Secret | None = None
        for _ in range(MOST_PROMPTS):
            passphrase = ask(rejected)
            if passphrase is None:
                break
            try:
                return _load(self._data, passphrase.reveal().encode())
            except ValueError:
                rejected = passphrase
        if rejected is not None:
            raise PassphraseWrongError
        return None

    def sign(self, data: bytes, algorithm: str) -> bytes:
        """Sign with an unlocked key.

        Args:
            data: What to sign.
            algorithm: The signature algorithm, for example ``rsa-sha2-512``.

        Returns:
            The signature in the SSH wire format.
        """
        key = self._key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            signature = key.sign(data)
        elif isinstance(key, rsa.RSAPrivateKey):
            digest = hashes.SHA256() if "256" in algorithm else hashes.SHA512()
            signature = key.sign(data, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_CURVE_DIGESTS[key.curve.name]())))
            numbers = Message()
            numbers.add_mpint(r)
            numbers.add_mpint(s)
            signature = numbers.asbytes()
        else:
            raise AssertionError("a locked key cannot sign")
        message = Message()
        message.add_string(algorithm)
        message.add_string(signature)
        return message.asbytes()


_CURVE_DIGESTS: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
_unlocked: dict[bytes, PrivateKey] = {}
_unlocking = threading.Lock()


class Agent(AgentSSH):
    """The operator's ssh agent.

    Args:
        path: Its socket; None for ``$SSH_AUTH_SOCK``, ``none`` for no agent.
        timeout: Seconds to wait for its replies.
    """

    def __init__(self, path: str | None, timeout: float = 60) -> None:
        super().__init__()
        path = path or os.environ.get("SSH_AUTH_SOCK")
        if not path or path == "none":
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Long enough for the operator to confirm or to touch a token.
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]  # missing in the stubs
        except (OSError, SSHException):
            connection.close()  # an unreachable agent counts as none

    def close(self) -> None:
        """Close the connection to the agent."""
        self._close()  # type: ignore[attr-defined]  # missing in the stubs

    def candidates(self) -> list[Candidate]:
        """Return the keys it holds."""
        return [
            Candidate(
                f"{key.comment} (agent)" if key.comment else "a key from the agent",
                (PublicKey(key.get_name(), key.blob),),
                agent_key=key,
            )
            for key in self.get_keys()
            if isinstance(key, AgentKey)
        ]


def candidates(
    explicit: Path | None,
    configured: Sequence[Path],
    *,
    only: bool,
    folder: Path,
    agent: Agent,
    certificate_files: Sequence[Path] = (),
) -> tuple[list[Candidate], list[str]]:
    """Return the keys to offer, in the order of ssh.

    Args:
        explicit: The key in the answers; if set, no other key is offered.
        configured: The key files in the ssh configuration.
        only: Whether to ignore the agent's other keys (IdentitiesOnly).
        folder: The folder of the default key files, tried if none are configured.
        agent: The agent.
        certificate_files: Certificates for any of the keys (CertificateFile).

    Returns:
        The keys, and notes on unusable keys as shown to users.

    Raises:
        CannotConnect: The explicit key cannot be used.
    """
    agent_keys = agent.candidates()
    certificates, notes = _read_certificates(certificate_files)
    if explicit is not None:
        return [_explicit_key(explicit, agent_keys, certificates)], notes
    from_agent: list[Candidate] = []
    from_files: list[Candidate] = []
    for path in configured or [folder / name for name in USUAL_FILES]:
        try:
            candidate = _from_file(path, agent_keys, certificates)
        except LocalFileError as error:
            if error.is_missing and configured:
                notes.append(f"{short_path(path)} (missing)")
            elif not error.is_missing:
                notes.append(f"{short_path(path)} ({error.fault})")
            continue
        except ValueError as error:
            notes.append(f"{short_path(path)} ({error})")
            continue
        (from_agent if candidate.agent_key is not None else from_files).append(candidate)
    if not only:
        listed = {offer.blob for candidate in from_agent for offer in candidate.offers}
        from_agent += [
            replace(other, offers=offers_of(other.offers[0], certificates))
            for other in agent_keys
            if other.offers[0].blob not in listed
        ]
    return from_agent + from_files, notes


def load_key(path: Path, agent: Agent) -> Candidate:
    """Read one key.

    Args:
        path: Its file, or its public key file if the agent holds the private key.
        agent: The agent.

    Raises:
        CannotConnect: It cannot be used.
    """
    return _explicit_key(path, agent.candidates())


def _read_certificates(files: Sequence[Path]) -> tuple[list[PublicKey], list[str]]:
    """Return the certificates in files, and notes on files that have none."""
    found: list[PublicKey] = []
    notes: list[str] = []
    for path in files:
        try:
            certificate = PublicKey.parse(read_file(path).decode(errors="replace"))
        except LocalFileError as error:
            notes.append(f"{short_path(path)} ({error.fault})")
            continue
        if certificate is None or certificate.certified is None:
            notes.append(f"{short_path(path)} (not a certificate)")
        else:
            found.append(certificate)
    return found, notes


def _explicit_key(
    path: Path, agent_keys: Sequence[Candidate], certificates: Sequence[PublicKey] = ()
) -> Candidate:
    try:
        return _from_file(path, agent_keys, certificates)
    except LocalFileError as error:
        raise CannotConnect(error.message, advice=error.advice, code="key_unreadable") from None
    except ValueError as error:
        raise CannotConnect(
            f"The key {short_path(path)} cannot be used: {error}.",
            advice="Use the private key file (not the .pub file).",
            code="key_unreadable",
        ) from error


def _from_file(
    path: Path, agent_keys: Sequence[Candidate], certificates: Sequence[PublicKey] = ()
) -> Candidate:
    """Read a key file, preferring the agent if it holds the same key.

    Raises:
        LocalFileError: It cannot be read.
        ValueError: It is not a private key.
    """
    data = read_file(path, "key")
    path = expand(path)
    given = PublicKey.parse(data.decode(errors="replace"))
    public = given or _public_half(path, data)
    if public is not None:
        beside = None if given else _beside(path, "-cert.pub")
        known = (*certificates, *([] if beside is None else [beside]))
        for candidate in agent_keys:
            if candidate.offers[0].blob == public.blob:
                # The agent can hold keys that cannot be read here, such as those of tokens.
                return replace(
                    candidate,
                    name=f"{short_path(path)} (agent)",
                    offers=offers_of(public, known),
                )
    if given is not None:
        raise ValueError("it is a public key, and the agent does not have the private key")
    _check_permissions(path)
    file = KeyFile(path, certificates)
    return Candidate(short_path(path), file.offers, file=file)


def _check_permissions(path: Path) -> None:
    """Raise ValueError if ssh would ignore a key because others can read it."""
    status = path.stat()
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        raise ValueError(
            f"other accounts can read it, so ssh ignores it; 'chmod 600 {short_path(path)}' "
            "changes that"
        )


def _load(data: bytes, passphrase: bytes | None) -> PrivateKey:
    """Read a private key.

    Raises:
        TypeError: It needs a passphrase, and none was given.
        ValueError: It is not a usable private key, or the passphrase is wrong.
    """
    is_openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    if reason := _unusable_format(data):
        raise ValueError(reason)
    try:
        key = load(data, passphrase)
    except UnsupportedAlgorithm as error:
        raise ValueError(_unsupported(data)) from error
    except ValueError as error:
        if passphrase is None and "password" in str(error).lower():
            raise TypeError(str(error)) from error
        raise ValueError("the file is damaged") from error
    if not isinstance(
        key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    ):
        raise ValueError(_unsupported(data))
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVE_DIGESTS:
        raise ValueError(_unsupported(data))
    return key


def _unusable_format(data: bytes) -> str:
    """Return what a file is instead of a private key for ssh, and what converts it, or empty."""
    if data.startswith(b"PuTTY-User-Key-File-"):
        return (
            "it is a PuTTY key; 'puttygen FILE -O private-openssh -o NEW' (from putty-tools) "
            "converts it"
        )
    if b"BEGIN SSH2 ENCRYPTED PRIVATE KEY" in data:
        return "it is a key of ssh.com; 'ssh-keygen -i -f FILE > NEW' converts it"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it is in UTF-16; 'iconv -f UTF-16 -t UTF-8 FILE > NEW' converts it"
    if b"PRIVATE KEY-----" not in data:
        return "it is not a private key file"
    return ""


def _unsupported(data: bytes) -> str:
    """Return why the key in a file cannot be used, and what to do about it."""
    header = _openssh_header(data)
    kind = "" if header is None else header.public.kind
    if b"BEGIN DSA PRIVATE KEY" in data or kind == "ssh-dss":
        return "it is a DSA key, which servers refuse; 'ssh-keygen -t ed25519' creates another one"
    if kind.startswith("sk-"):
        return (
            "it is on a FIDO security key, which works through the ssh agent only; 'ssh-add FILE' "
            "adds it"
        )
    if header is not None and header.cipher not in {"none", "aes256-ctr"}:
        return (
            f"it is encrypted with {header.cipher}, which Moorage cannot read; 'ssh-keygen -p -Z "
            "aes256-ctr -f FILE' encrypts it with aes256-ctr, or 'ssh-add FILE' adds it to the "
            "agent"
        )
    return "its type is not supported; use Ed25519, ECDSA or RSA"


def _public_of(key: PrivateKey) -> PublicKey:
    line = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    kind, encoded = line.decode().split()[:2]
    return PublicKey(kind, base64.b64decode(encoded))


@dataclass(frozen=True)
class _OpensshHeader:
    """The part of a key file in OpenSSH's format that is not encrypted."""

    cipher: str
    public: PublicKey


def _openssh_header(data: bytes) -> _OpensshHeader | None:
    begin, end = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END"
    if begin not in data:
        return None
    try:
        raw = base64.b64decode(data.partition(begin)[2].partition(end)[0])
    except binascii.Error:
        return None
    if not raw.startswith(_OPENSSH_MAGIC):
        return None
    message = Message(raw[len(_OPENSSH_MAGIC) :])
    cipher = message.get_string().decode(errors="replace")
    for _ in ("kdf", "kdf options"):
        message.get_string()
    message.get_int()
    blob = message.get_string()
    kind = Message(blob).get_string().decode(errors="replace")
    return _OpensshHeader(cipher, PublicKey(kind, blob))


def _public_half(path: Path, data: bytes) -> PublicKey | None:
    """Read the public key without the passphrase: from the key file or from its .pub file."""
    header = _openssh_header(data)
    return header.public if header is not None else _beside(path, ".pub")


def _beside(path: Path, suffix: str) -> PublicKey | None:
    try:
        return PublicKey.parse(read_text(f"{path}{suffix}"))
    except LocalFileError:
        return None
