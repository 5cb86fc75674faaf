"""The one way to run something on a server: a script and its data, in one channel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from moorage.answers.secrets import Secret, SecretReference

Resolve = Callable[[SecretReference | None, str], Secret | None]
"""Finds what a secret reference of a server leads to; None when there is nothing.

The text is the name of the field: ``password``, ``passphrase`` or ``sudo_password``.
"""


@dataclass(frozen=True)
class Completed:
    """How a script ended.

    Attributes:
        exit_status: The script's exit status; negative when a signal ended it.
        stdout: What it wrote to standard output, unless an ``on_stdout`` took it.
        stderr: What it wrote to standard error.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class HostKey:
    """The key a server showed on first contact.

    Attributes:
        server: The server's label.
        address: Host and port as written to known_hosts.
        kind: The key's type, for example ``ssh-ed25519``.
        fingerprint: ``SHA256:`` and the base64 digest, as ssh prints it.
    """

    server: str
    address: str
    kind: str
    fingerprint: str


class Asker(Protocol):
    """Who is asked when a connection needs a decision or a secret. May be called in any thread."""

    def accept_host_key(self, key: HostKey) -> bool:
        """Return whether an unknown host key is to be trusted and remembered."""

    def secret(self, what: str, server: str | None) -> Secret | None:
        """Return a secret, or None when there is nobody to ask.

        Args:
            what: What is wanted, for people: ``sudo password of admin``.
            server: The server's label, if it belongs to one.
        """


@dataclass(frozen=True)
class LoginWanted:
    """A login that no key opened.

    Attributes:
        what: What is wanted, for people: ``password of root``.
        server: The server's label.
        reason: Which keys were tried and why that was not enough.
        methods: What the server takes, as SSH calls it.
        key: The key the answers name, or empty.
        is_jump_host: Whether it is the login at a machine on the way to the server.
    """

    what: str
    server: str
    reason: str
    methods: tuple[str, ...]
    key: str = ""
    is_jump_host: bool = False

    @property
    def takes_keys(self) -> bool:
        """Whether another key may help."""
        return "publickey" in self.methods


@runtime_checkable
class LoginAsker(Protocol):
    """An asker who tells why a password is wanted, and may name a key instead."""

    def login(self, wanted: LoginWanted) -> Secret | Path | None:
        """Return a password or the path of a private key, or None when there is nobody to ask."""


@dataclass
class Exchange:
    """The sending side of a running script, for what follows its payload.

    Attributes:
        send: Sends bytes to the script's standard input; raises ``CannotConnect`` when it is gone.
        finish: Ends the script's standard input. Nothing can be sent after that.
    """

    send: Callable[[bytes], None]
    finish: Callable[[], None] = lambda: None


@dataclass
class Cancel:
    """A request to stop waiting, shared between threads."""

    event: threading.Event = field(default_factory=threading.Event)

    def set(self) -> None:
        """Ask everything that holds this object to stop."""
        self.event.set()

    @property
    def is_set(self) -> bool:
        """Whether stopping was asked for."""
        return self.event.is_set()


class Transport(Protocol):
    """A connection to one server. Connects on first use; safe for one script at a time.

    Attributes:
        server: The server's label: its host as in the answers.
    """

    server: str

    def connect(self) -> None:
        """Connect and log in, or do nothing when that is done.

        Raises:
            CannotConnect: The server cannot be reached, its key is unknown and not accepted or has
                changed, or the login is refused.
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

        The script reaches the server over standard input and is not in any argument list. Its own
        standard input holds the payload first and then whatever ``on_start``'s exchange sends; it
        ends after the payload when there is no ``on_start``.

        Args:
            script: The script; values belong in the payload, not in here.
            payload: What the script reads from its standard input: bytes, or chunks of them for
                what is too large to hold in memory. Chunks are taken in a thread of the transport,
                at the pace the script reads.
            on_stdout: Takes output as it arrives, in the thread that called ``run``.
            on_start: Called in a thread of the transport once the payload has been sent, with the
                way to send more. It should return soon.
            timeout: Seconds in which nothing arrives and nothing is taken, after which the server
                counts as silent; None waits.
            deadline: Seconds in which the script must end, however much the server sends; time that
                people take to answer a question does not count. None for a script that goes on for
                as long as it has to.
            cancel: Stops waiting when set: the channel is closed. The script's standard input ends;
                nothing else stops it on the server.

        Raises:
            CannotConnect: The connection was lost, the server was silent or took too long, it sent
                without end, or it was cancelled.
            SudoRefused: Becoming root needs a password that is missing or wrong.
        """

    def close(self) -> None:
        """Close the connection. Safe to call twice and from other threads."""

    @property
    def public_address(self) -> str:
        """The address the host resolves to in the operator's ssh configuration (HostName)."""
