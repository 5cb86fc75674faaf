"""The operator's private keys in files and in the ssh agent: read, unlock, sign."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from paramiko import Message, SSHException
from paramiko.agent import AgentKey, AgentSSH

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect
from moorage.servers.transport import MOST_PROMPTS

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

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes()
        self._data = data
        self._digest = hashlib.sha256(data).digest()
        self._key: PrivateKey | None = None
        self.public = _public_half(path, data)
        self.certificate = _certificate(path)
        try:
            self._key = _load(data, None)
        except TypeError:
            self._key = _unlocked.get(self._digest)
        self.is_locked = self._key is None
        if self._key is not None:
            self.public = _public_of(self._key)

    @property
    def offers(self) -> tuple[PublicKey, ...]:
        """The certificate and public key, best first."""
        return tuple(offer for offer in (self.certificate, self.public) if offer is not None)

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
    explicit: Path | None, configured: Sequence[Path], *, only: bool, folder: Path, agent: Agent
) -> tuple[list[Candidate], list[str]]:
    """Return the keys to offer, in the order of ssh.

    Args:
        explicit: The key in the answers; if set, no other key is offered.
        configured: The key files in the ssh configuration.
        only: Whether to ignore the agent's other keys (IdentitiesOnly).
        folder: The folder of the default key files, tried if none are configured.
        agent: The agent.

    Returns:
        The keys, and notes on unusable keys as shown to users.

    Raises:
        CannotConnect: The explicit key cannot be used.
    """
    agent_keys = agent.candidates()
    if explicit is not None:
        return [_explicit_key(explicit.expanduser(), agent_keys)], []
    notes: list[str] = []
    from_agent: list[Candidate] = []
    from_files: list[Candidate] = []
    for path in configured or [folder / name for name in USUAL_FILES]:
        try:
            candidate = _from_file(path, agent_keys)
        except FileNotFoundError:
            if configured:
                notes.append(f"{short_path(path)} (missing)")
            continue
        except (OSError, ValueError) as error:
            notes.append(f"{short_path(path)} ({_why(error)})")
            continue
        (from_agent if candidate.agent_key is not None else from_files).append(candidate)
    if not only:
        listed = {offer.blob for candidate in from_agent for offer in candidate.offers}
        from_agent += [other for other in agent_keys if other.offers[0].blob not in listed]
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


def short_path(path: Path) -> str:
    """Return a path with ~ for the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def _explicit_key(path: Path, agent_keys: Sequence[Candidate]) -> Candidate:
    try:
        return _from_file(path, agent_keys)
    except (OSError, ValueError) as error:
        raise CannotConnect(
            f"The key {short_path(path)} cannot be used: {_why(error)}.",
            advice="Use the private key file (not the .pub file), and make sure you can read it.",
            code="key_unreadable",
        ) from error


def _from_file(path: Path, agent_keys: Sequence[Candidate]) -> Candidate:
    """Read a key file, preferring the agent if it holds the same key.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a private key.
    """
    public = PublicKey.parse(path.read_text(encoding="utf-8", errors="replace"))
    file = None if public is not None else KeyFile(path)
    if file is not None:
        public = file.public
    if public is not None:
        for candidate in agent_keys:
            if candidate.offers[0].blob == public.blob:
                offers = file.offers if file is not None else (public,)
                return Candidate(
                    f"{short_path(path)} (agent)", offers, agent_key=candidate.agent_key
                )
    if file is None:
        raise ValueError("it is a public key, and the agent does not have the private key")
    return Candidate(short_path(path), file.offers, file=file)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


def _load(data: bytes, passphrase: bytes | None) -> PrivateKey:
    """Read a private key.

    Raises:
        TypeError: It needs a passphrase, and none was given.
        ValueError: It is not a usable private key, or the passphrase is wrong.
    """
    is_openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    if b"PRIVATE KEY-----" not in data:
        raise ValueError("it is not a private key file")
    try:
        key = load(data, passphrase)
    except UnsupportedAlgorithm as error:
        raise ValueError("its type is not supported; use Ed25519, ECDSA or RSA") from error
    except ValueError as error:
        if passphrase is None and "password" in str(error).lower():
            raise TypeError(str(error)) from error
        raise ValueError("the file is damaged") from error
    if not isinstance(
        key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    ):
        raise ValueError("its type is not supported; use Ed25519, ECDSA or RSA")
    return key


def _public_of(key: PrivateKey) -> PublicKey:
    line = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    kind, encoded = line.decode().split()[:2]
    return PublicKey(kind, base64.b64decode(encoded))


def _public_half(path: Path, data: bytes) -> PublicKey | None:
    """Read the public key without the passphrase: from the key file or from its .pub file."""
    begin, end = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END"
    if begin in data:
        try:
            raw = base64.b64decode(data.partition(begin)[2].partition(end)[0])
        except binascii.Error:
            return None
        if raw.startswith(_OPENSSH_MAGIC):
            message = Message(raw[len(_OPENSSH_MAGIC) :])
            for _ in ("cipher", "kdf", "kdf options"):
                message.get_string()
            message.get_int()
            blob = message.get_string()
            return PublicKey(Message(blob).get_string().decode(errors="replace"), blob)
    return _beside(path, ".pub")


def _certificate(path: Path) -> PublicKey | None:
    found = _beside(path, "-cert.pub")
    return found if found is not None and found.kind.endswith(_CERTIFICATE) else None


def _beside(path: Path, suffix: str) -> PublicKey | None:
    try:
        return PublicKey.parse(Path(f"{path}{suffix}").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
