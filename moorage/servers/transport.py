"""The transport interface: runs a script with its data on a server, in one channel."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from moorage.answers.secrets import Secret, SecretReference
from moorage.errors import SecretName

MOST_PROMPTS = 3
"""How often to ask for a password that is wrong, as ssh and sudo do."""


class Resolve(Protocol):
    """Resolves a server's secret reference; returns None if there is none."""

    def __call__(
        self, reference: SecretReference | None, what: str, rejected: Secret | None = None, /
    ) -> Secret | None:
        """Return the secret.

        Args:
            reference: The reference.
            what: The name of the field: ``password``, ``passphrase`` or ``sudo_password``.
            rejected: The previous result, if that was wrong; returns None if there is no other.
        """


@dataclass(frozen=True)
class Completed:
    """The result of a script.

    Attributes:
        exit_status: The script's exit status; negative if a signal ended it.
        stdout: Its standard output, unless ``on_stdout`` received it.
        stderr: Its standard error.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes

    def unpacked(self, most: int) -> bytes:
        """Return the standard output of a script that compresses it with gzip.

        Args:
            most: The bytes that are decompressed at most.

        Raises:
            ValueError: The script failed, or its output was cut or is too large.
        """
        if self.exit_status != 0:
            reason = self.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise ValueError(reason[0] if reason else f"status {self.exit_status}")
        stream = zlib.decompressobj(wbits=31)
        try:
            output = stream.decompress(self.stdout, most)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if not stream.eof:
            raise ValueError("the output was cut")
        return output


@dataclass(frozen=True)
class HostKey:
    """The host key a server presented on first contact.

    Attributes:
        server: The server's label.
        address: Host and port in known_hosts format.
        kind: The key's type, for example ``ssh-ed25519``.
        fingerprint: ``SHA256:`` and the base64 digest, as ssh prints it.
    """

    server: str
    address: str
    kind: str
    fingerprint: str


class Asker(Protocol):
    """Asks the operator for decisions and secrets. Can be called from any thread."""

    def accept_host_key(self, key: HostKey) -> bool:
        """Return whether to trust an unknown host key and add it to known_hosts."""

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        """Return a secret, or None if the operator cannot be asked.

        Args:
            what: Which secret.
            server: The server's label, if the secret belongs to one.
            rejected: The previous answer, if that was wrong.
        """


@dataclass(frozen=True)
class LoginRequest:
    """A login for which no key was accepted.

    Attributes:
        what: The missing secret.
        server: The server's label.
        reason: Which keys were tried and why they were not enough.
        methods: The SSH authentication methods that the server accepts.
        key: The key named in the answers, or empty.
        is_jump_host: Whether the login is on a jump host.
        rejected: The previous answer, if the server rejected that password.
    """

    what: SecretName
    server: str
    reason: str
    methods: tuple[str, ...]
    key: str = ""
    is_jump_host: bool = False
    rejected: Secret | None = None

    @property
    def takes_keys(self) -> bool:
        """Whether another key could work."""
        return "publickey" in self.methods


@runtime_checkable
class LoginAsker(Protocol):
    """An asker that explains why a password is needed and can return a key instead."""

    def login(self, wanted: LoginRequest) -> Secret | Path | None:
        """Return a password or a private key's path, or None if the operator cannot be asked."""


@dataclass
class Exchange:
    """The standard input of a running script, for data after its payload.

    Attributes:
        send: Sends bytes; raises ``CannotConnect`` if the script no longer reads them.
        finish: Closes standard input. Nothing can be sent after that.
    """

    send: Callable[[bytes], None]
    finish: Callable[[], None] = lambda: None


@dataclass
class Cancel:
    """A request to stop waiting, shared between threads."""

    event: threading.Event = field(default_factory=threading.Event)

    def set(self) -> None:
        """Request everything that uses this object to stop."""
        self.event.set()

    @property
    def is_set(self) -> bool:
        """Whether stopping was requested."""
        return self.event.is_set()


class Transport(Protocol):
    """A connection to one server. Connects on first use; runs one script at a time.

    Attributes:
        server: The server's label: its host as in the answers.
    """

    server: str

    def connect(self) -> None:
        """Connect and log in, unless already connected.

        Raises:
            CannotConnect: The server cannot be reached, its host key has changed or is unknown and
                was not accepted, or the login failed.
        """

    def run(
        self,
        script: str,
        *,
        payload: bytes | Iterable[bytes] = b"",
        on_stdout: Callable[[bytes], None] | None = None,
        on_start: Callable[[Exchange], None] | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        cancel: Cancel | None = None,
    ) -> Completed:
        """Run a POSIX shell script as root, in one channel.

        The script is sent over standard input and appears in no argument list. Its own standard
        input is the payload, followed by what ``on_start`` sends; without ``on_start`` it ends
        after the payload.

        Args:
            script: The script. Pass values in the payload, not in the script.
            payload: The script's standard input: bytes, or chunks if it is too large for memory.
                Chunks are consumed in a thread of the transport, as fast as the script reads.
            on_stdout: Called with output as it arrives, in the thread that called ``run``.
            on_start: Called in a thread of the transport once the payload has been sent, with the
                means to send more. It should return quickly.
            timeout: Seconds without any data in either direction before the server counts as not
                responding; None waits for ever.
            deadline: Seconds for the whole script, not counting the time the operator takes to
                answer questions. None for no limit.
            cancel: Closes the channel when set. The script's standard input ends; the script itself
                is not killed.

        Raises:
            CannotConnect: The connection was lost, the server did not respond, took too long or
                sent too much, or the call was cancelled.
            SudoRefused: sudo refused, for example because its password is missing or wrong.
        """

    def close(self) -> None:
        """Close the connection. Safe to call repeatedly and from other threads."""

    @property
    def public_address(self) -> str:
        """The host's HostName in the operator's ssh configuration."""
