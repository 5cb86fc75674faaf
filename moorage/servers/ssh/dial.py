"""The way to an SSH server: how long it may take, and opening a socket to it."""

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
    """The server closed the connection before the login was done."""


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds.

    Attributes:
        connect: Until a TCP connection stands; what ssh's ConnectTimeout says wins.
        handshake: From there until the keys are exchanged.
        channel: Until a channel is open.
        keepalive: Between two signs of life that are asked for when nothing else is sent.
        dead: Without any sign of life, after which a connection counts as lost.
        start: Until a login shell runs its first command.
    """

    connect: float = 15.0
    handshake: float = 20.0
    channel: float = 20.0
    keepalive: float = 10.0
    dead: float = 30.0
    start: float = 120.0


class Breaker:
    """Ends a connection attempt from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closers: list[Callable[[], object]] = []
        self.is_open = False

    def add(self, closer: Callable[[], object]) -> None:
        """Have something closed with the rest, at once if that has happened already."""
        with self._lock:
            if not self.is_open:
                self._closers.append(closer)
                return
        closer()

    def open(self) -> None:
        """Close everything, the newest first."""
        with self._lock:
            self.is_open = True
            closers, self._closers = self._closers[::-1], []
        for closer in closers:
            with contextlib.suppress(Exception):
                closer()


@dataclass(frozen=True)
class Place:
    """A machine on the way, for errors.

    Attributes:
        server: The server's label, as in the answers.
        name: How this machine is called: the label itself, or a jump host's name.
        settings: What the ssh configuration says about it.
    """

    server: str
    name: str
    settings: Settings

    @property
    def subject(self) -> str:
        """How a sentence about it begins."""
        return "The server" if self.name == self.server else f"The jump host {self.name}"

    @property
    def address(self) -> str:
        """Where it is: host and port."""
        return known_hosts.address(self.settings.hostname, self.settings.port)

    @property
    def key_name(self) -> tuple[str, int]:
        """The name and port its host key is looked up by; an alias goes without its port."""
        if self.settings.host_key_alias:
            return self.settings.host_key_alias, 22
        return self.settings.hostname, self.settings.port

    @property
    def known_hosts(self) -> tuple[Path, ...]:
        """The files its host key may be known in."""
        return (*self.settings.known_hosts, *self.settings.global_known_hosts)

    def failed(self, code: str, message: str, advice: str = "") -> CannotConnect:
        """An error about it."""
        return CannotConnect(message, advice=advice, server=self.server, code=code)


def dial(place: Place, limits: Limits, breaker: Breaker) -> socket.socket:
    """Open a TCP connection.

    Raises:
        CannotConnect: It cannot be opened; each reason has its own words.
    """
    settings = place.settings
    timeout = settings.connect_timeout or limits.connect
    try:
        found = socket.getaddrinfo(settings.hostname, settings.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise place.failed(
            "unreachable",
            f"The name {settings.hostname} does not resolve to an address.",
            "Check the spelling and the DNS record, or give the address itself.",
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
                raise place.failed("connection_closed", "The connection was closed.") from error
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Unsent data to a dead machine would be retried for a quarter of an hour.
            milliseconds = int(limits.dead * 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        return connection
    raise _unreachable(place, last, timeout) from last


def _connect(connection: socket.socket, address: object, timeout: float, breaker: Breaker) -> None:
    """Connect, looking up from time to time: closing a socket does not end a connect in Linux.

    Raises:
        OSError: It did not work, or the breaker was opened.
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


def _unreachable(place: Place, error: OSError | None, timeout: float) -> CannotConnect:
    where, port = place.address, place.settings.port
    if isinstance(error, ConnectionRefusedError):
        return place.failed(
            "unreachable",
            f"{place.subject} refuses connections at {where}.",
            f"No SSH server listens at port {port}, or a firewall rejects it. Check the port.",
        )
    if isinstance(error, TimeoutError):
        return place.failed(
            "unreachable",
            f"{place.subject} does not answer at {where} within {timeout:.0f} seconds.",
            "Check the address, that the machine is up, and that its firewall lets this one in.",
        )
    if error is not None and error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return place.failed(
            "unreachable",
            f"There is no route to {where}.",
            "The machine is down or in another network: check the address, VPN and routes.",
        )
    return place.failed(
        "unreachable",
        f"{place.subject} cannot be reached at {where}: {(error and error.strerror) or error}.",
    )


def dial_command(command: str, breaker: Breaker) -> tuple[socket.socket, Callable[[], str]]:
    """Start a ProxyCommand.

    Args:
        command: The command line, for a shell.
        breaker: Ends the command when it is opened.

    Returns:
        The connection it makes, and what tells its last words.
    """
    ours, theirs = socket.socketpair()
    complaints = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the command
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        stdin=theirs.fileno(),
        stdout=theirs.fileno(),
        stderr=complaints,
        start_new_session=True,
    )
    theirs.close()

    def stop() -> None:
        ours.close()
        process.terminate()
        process.wait(timeout=5)
        complaints.close()

    def last_words() -> str:
        complaints.seek(0)
        return " ".join(complaints.read().decode(errors="replace").split())[-300:]

    breaker.add(stop)
    return ours, last_words
