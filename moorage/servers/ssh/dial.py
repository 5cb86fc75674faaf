"""Open sockets to SSH servers, and the timeouts of connections."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moorage.errors import CannotConnect
from moorage.servers.ssh import known_hosts
from moorage.servers.ssh.config_lookup import Settings


class HungUpError(CannotConnect):
    """The server closed the connection before the login was complete."""


@dataclass(frozen=True)
class Limits:
    """Timeouts in seconds.

    Attributes:
        connect: For the TCP connection; overridden by ssh's ConnectTimeout.
        handshake: For the key exchange.
        channel: For opening a channel.
        keepalive: Between keepalives on an idle connection.
        dead: Without any packet from the server before the connection counts as lost.
        start: For the login shell to start the script.
    """

    connect: float = 15.0
    handshake: float = 20.0
    channel: float = 20.0
    keepalive: float = 10.0
    dead: float = 30.0
    start: float = 120.0


class Breaker:
    """Aborts a connection from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closers: list[Callable[[], object]] = []
        self.is_open = False

    def add(self, closer: Callable[[], object]) -> None:
        """Register something to close; close it right away if the breaker is already open."""
        with self._lock:
            if not self.is_open:
                self._closers.append(closer)
                return
        closer()

    def open(self) -> None:
        """Close everything, newest first."""
        with self._lock:
            self.is_open = True
            closers, self._closers = self._closers[::-1], []
        for closer in closers:
            with contextlib.suppress(Exception):
                closer()


@dataclass(frozen=True)
class Machine:
    """A machine to connect to: the server or a jump host.

    Attributes:
        server: The server's label, as in the answers.
        name: The machine's name: the label, or the jump host's name.
        settings: Its settings in the ssh configuration.
    """

    server: str
    name: str
    settings: Settings

    @property
    def subject(self) -> str:
        """Its name at the start of a sentence."""
        return self.in_sentence[0].upper() + self.in_sentence[1:]

    @property
    def in_sentence(self) -> str:
        """Its name within a sentence."""
        return "the server" if self.name == self.server else f"the jump host {self.name}"

    @property
    def address(self) -> str:
        """Its host and port."""
        return known_hosts.address(self.settings.hostname, self.settings.port)

    @property
    def key_name(self) -> tuple[str, int]:
        """The name and port to look up its host key; an alias is looked up without a port."""
        if self.settings.host_key_alias:
            return self.settings.host_key_alias, 22
        return self.settings.hostname, self.settings.port

    @property
    def known_hosts(self) -> tuple[Path, ...]:
        """The files to look for its host key in."""
        return (*self.settings.known_hosts, *self.settings.global_known_hosts)

    def failed(self, code: str, message: str, advice: str = "") -> CannotConnect:
        """Return an error about it."""
        return CannotConnect(message, advice=advice, server=self.server, code=code)


def dial(machine: Machine, limits: Limits, breaker: Breaker) -> socket.socket:
    """Open a TCP connection.

    Raises:
        CannotConnect: It cannot be opened; the message says why.
    """
    settings = machine.settings
    timeout = settings.connect_timeout or limits.connect
    try:
        found = socket.getaddrinfo(settings.hostname, settings.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise machine.failed(
            "unreachable",
            f"The name {settings.hostname} does not resolve to an address.",
            "Check the spelling and the DNS record, or use the address itself.",
        ) from error
    last: OSError | None = None
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        breaker.add(connection.close)
        try:
            _connect(connection, address, timeout, breaker)
        except OSError as error:
            connection.close()
            last = error
            if breaker.is_open:
                raise machine.failed("connection_closed", "The connection was closed.") from error
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Otherwise data to a dead machine would be retransmitted for a quarter of an hour.
            milliseconds = int(limits.dead * 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        return connection
    raise _unreachable(machine, last, timeout) from last


def _connect(connection: socket.socket, address: object, timeout: float, breaker: Breaker) -> None:
    """Connect, polling the breaker: closing a socket does not abort connect() on Linux.

    Raises:
        OSError: The connection failed, or the breaker was opened.
    """
    connection.setblocking(False)
    number = connection.connect_ex(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
    deadline = time.monotonic() + timeout
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLOUT)
    while number == errno.EINPROGRESS:
        if poll.poll(100):
            number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        elif breaker.is_open or time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    if number:
        raise OSError(number, os.strerror(number))
    connection.settimeout(timeout)


def _unreachable(machine: Machine, error: OSError | None, timeout: float) -> CannotConnect:
    where, port = machine.address, machine.settings.port
    if isinstance(error, ConnectionRefusedError):
        return machine.failed(
            "unreachable",
            f"{machine.subject} refuses connections at {where}.",
            f"No SSH server listens on port {port}, or a firewall rejects it. Check the port.",
        )
    if isinstance(error, TimeoutError):
        return machine.failed(
            "unreachable",
            f"{machine.subject} does not answer at {where} within {timeout:.0f} seconds.",
            "Check the address, that the machine is up, and that its firewall allows this one.",
        )
    if error is not None and error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return machine.failed(
            "unreachable",
            f"There is no route to {where}.",
            "The machine is down or on another network: check the address, VPN and routes.",
        )
    return machine.failed(
        "unreachable",
        f"{machine.subject} cannot be reached at {where}: {(error and error.strerror) or error}.",
    )


def dial_command(command: str, breaker: Breaker) -> tuple[socket.socket, Callable[[], str]]:
    """Start a ProxyCommand.

    Args:
        command: The command line, for a shell.
        breaker: Ends the command when opened.

    Returns:
        The connection, and a function that returns the end of the command's standard error.
    """
    ours, theirs = socket.socketpair()
    stderr = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the command
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        stdin=theirs.fileno(),
        stdout=theirs.fileno(),
        stderr=stderr,
        start_new_session=True,
    )
    theirs.close()

    def stop() -> None:
        ours.close()
        process.terminate()
        process.wait(timeout=5)
        stderr.close()

    def last_output() -> str:
        stderr.seek(0)
        return " ".join(stderr.read().decode(errors="replace").split())[-300:]

    breaker.add(stop)
    return ours, last_output
