"""One SSH connection: sockets, jump hosts, key exchange, the host's key, and channels."""

from __future__ import annotations

import contextlib
import errno
import logging
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from paramiko import Channel, ChannelException, Message, SSHException, Transport
from paramiko.common import cMSG_CHANNEL_REQUEST, cMSG_GLOBAL_REQUEST
from paramiko.packet import Packetizer

from moorage.errors import CannotConnect
from moorage.servers import hostkeys
from moorage.servers.conversation import PipesGoneError
from moorage.servers.hostkeys import Standing
from moorage.servers.sshconfig import Settings
from moorage.servers.transport import Asker, HostKey

# Without a handler, logging would print paramiko's view of an error in the middle of a screen.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_TICK = 0.1
_CIPHERS = (
    "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr", "aes192-ctr",
)  # fmt: skip
_MACS = (
    "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256", "hmac-sha2-512",
)  # fmt: skip
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds.

    Attributes:
        connect: Until a TCP connection stands; what ssh's ConnectTimeout says wins.
        handshake: From there until the keys are exchanged.
        channel: Until a channel is open.
        keepalive: Between two signs of life that are asked for when nothing else is sent.
        dead: Without any sign of life, after which a connection counts as lost.
    """

    connect: float = 15.0
    handshake: float = 20.0
    channel: float = 20.0
    keepalive: float = 10.0
    dead: float = 30.0


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
        return hostkeys.address(self.settings.hostname, self.settings.port)

    def failed(self, code: str, message: str, hint: str = "") -> CannotConnect:
        """An error about it."""
        return CannotConnect(message, hint=hint, server=self.server, code=code)


class _Packets(Packetizer):
    """Remembers when the other side was last heard of."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.last_heard = time.monotonic()

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        data = super().read_all(n, check_rekey)
        self.last_heard = time.monotonic()
        return data


class Link:
    """An SSH connection whose host key was checked; logging in is the next thing.

    Args:
        connection: The socket, or a channel of the jump host before it.
        place: The machine.
        limits: How long things may take.
        breaker: Closes the connection when it is opened.
    """

    def __init__(
        self, connection: socket.socket | Channel, place: Place, limits: Limits, breaker: Breaker
    ) -> None:
        self.place = place
        self._limits = limits
        self._breaker = breaker
        self.transport = Transport(connection, packetizer_class=_Packets)
        self.transport.banner_timeout = limits.handshake
        self.transport.handshake_timeout = limits.handshake
        breaker.add(self.transport.close)
        options = self.transport.get_security_options()
        options.ciphers = [name for name in _CIPHERS if name in options.ciphers]
        options.digests = [name for name in _MACS if name in options.digests]

    @property
    def is_alive(self) -> bool:
        """Whether it can still be used, as far as is known."""
        return self.transport.is_active() and self.transport.is_authenticated()

    @property
    def silence(self) -> float:
        """Seconds since the other side was last heard of."""
        packets = self.transport.packetizer
        assert isinstance(packets, _Packets)
        return time.monotonic() - packets.last_heard

    def shake_hands(self, asker: Asker) -> None:
        """Exchange keys and make sure that the server is who it should be.

        Args:
            asker: Who decides about a key that nobody knows yet.

        Raises:
            CannotConnect: It does not speak SSH, or its key is not trusted.
        """
        settings = self.place.settings
        files = (*settings.known_hosts, *settings.global_known_hosts)
        name = settings.host_key_alias or settings.hostname
        known = hostkeys.known_keys(files, name, settings.port)
        options = self.transport.get_security_options()
        # As OpenSSH does: a server with several keys is asked for one that is known.
        kinds = {key.kind for key in known if not key.marker}
        options.key_types = sorted(
            options.key_types,
            key=lambda kind: kind not in kinds and not (kind in _RSA and "ssh-rsa" in kinds),
        )
        done = threading.Event()
        try:
            self.transport.start_client(event=done)
            deadline = time.monotonic() + self._limits.handshake
            while not done.wait(_TICK):
                if not self.transport.is_active() or time.monotonic() > deadline:
                    break
        except SSHException:
            pass
        if not self.transport.initial_kex_done or not self.transport.is_active():
            raise self._no_handshake()
        key = self.transport.get_remote_server_key()
        self._check_host_key(key.get_name(), key.asbytes(), asker)
        self.transport.set_keepalive(0)
        self.transport.packetizer.set_keepalive(self._limits.keepalive, self._ask_for_life)

    def open_channel(self, kind: str, destination: tuple[str, int] | None = None) -> Channel:
        """Open a channel.

        Args:
            kind: ``session``, or ``direct-tcpip`` to reach a server behind this one.
            destination: Host and port of the latter.

        Raises:
            CannotConnect: The connection was lost, or the server opens no channel.
            ChannelException: The server behind this one cannot be reached from here.
        """
        try:
            return self.transport.open_channel(
                kind,
                dest_addr=destination,
                src_addr=("127.0.0.1", 0) if destination else None,
                timeout=self._limits.channel,
            )
        except ChannelException:
            raise
        except (SSHException, OSError, EOFError) as error:
            raise self.lost() from error

    def lost(self) -> CannotConnect:
        """The error for a connection that broke."""
        if self._breaker.is_open:
            return self.place.failed("connection_closed", "The connection was closed.")
        return self.place.failed(
            "connection_lost",
            f"The connection to {self.place.address} was lost.",
            "The network failed, or the machine went down or restarted.",
        )

    def _ask_for_life(self) -> None:
        # A reply is wanted, unlike with Transport.set_keepalive: only that tells a dead peer from
        # a quiet one, and through a jump host nothing else does.
        message = Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self.transport._send_user_message(message)

    def _no_handshake(self) -> CannotConnect:
        if self._breaker.is_open:
            return self.lost()
        error = self.transport.get_exception()
        text = str(error or "")
        where = self.place.address
        if "Incompatible" in type(error).__name__:
            return self.place.failed(
                "unreachable",
                f"{self.place.subject} at {where} has no encryption method in common with Moorage:"
                f" {text}.",
                "Its SSH server is too old, or restricted (Ciphers, KexAlgorithms).",
            )
        if "Indecipherable" in text or "banner" in text and "Error" not in text:
            return self.place.failed(
                "unreachable",
                f"What answers at {where} is not an SSH server.",
                "Check the port.",
            )
        return self.place.failed(
            "unreachable",
            f"{self.place.subject} at {where} accepts the connection, but hangs up or says nothing.",
            "It may be starting, overloaded (MaxStartups), or block this address (fail2ban).",
        )

    # -- the host's key --------------------------------------------------------------------------

    def _check_host_key(self, kind: str, blob: bytes, asker: Asker) -> None:
        settings = self.place.settings
        files = (*settings.known_hosts, *settings.global_known_hosts)
        name = settings.host_key_alias or settings.hostname
        # ssh ignores the port when there is an alias.
        port = 22 if settings.host_key_alias else settings.port
        verdict, known = hostkeys.standing(files, name, port, kind, blob)
        if verdict is Standing.UNKNOWN:
            with hostkeys.deciding:
                verdict, known = hostkeys.standing(files, name, port, kind, blob)
                if verdict is Standing.UNKNOWN:
                    self._decide(name, port, kind, blob, asker)
                    return
        if verdict is Standing.KNOWN:
            return
        assert known is not None
        shown = hostkeys.fingerprint(blob)
        written = hostkeys.address(name, port)
        if verdict is Standing.REVOKED:
            raise self._untrusted(
                "host_key_revoked",
                f"{self.place.subject} shows the key {shown} ({kind}), which is revoked in "
                f"{known.file}:{known.line}.",
                "Do not connect before somebody has explained why.",
            )
        raise self._untrusted(
            "host_key_changed",
            f"{self.place.subject} shows another host key than before: {shown} ({kind}); "
            f"{known.file}:{known.line} holds {hostkeys.fingerprint(known.blob)} ({known.kind}). "
            "Somebody may be listening in, or the server was installed anew.",
            f"If the change was expected: ssh-keygen -R '{written}' -f '{known.file}'",
        )

    def _decide(self, name: str, port: int, kind: str, blob: bytes, asker: Asker) -> None:
        settings = self.place.settings
        key = HostKey(
            self.place.server,
            hostkeys.address(name, port),
            kind,
            hostkeys.fingerprint(blob),
        )
        accepted = settings.strict in {"no", "accept-new"} or (
            settings.strict != "yes" and asker.accept_host_key(key)
        )
        if not accepted:
            raise self._untrusted(
                "host_key_unknown",
                f"The host key of {key.address} is not known: {key.fingerprint} ({kind}).",
                "Compare it with what ssh-keygen -l -f /etc/ssh/ssh_host_*_key.pub prints on the "
                f"server, then accept it here or with 'ssh {self.place.name}'.",
            )
        if settings.known_hosts:
            file = settings.known_hosts[0]
            hostkeys.remember(file, name, port, kind, blob, hashed=settings.hash_known_hosts)

    def _untrusted(self, code: str, message: str, hint: str) -> CannotConnect:
        self.transport.close()
        return self.place.failed(code, message, hint)


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
        connection.settimeout(timeout)
        try:
            connection.connect(address)
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


def dial_through(link: Link, place: Place) -> Channel:
    """Reach a server through one that is connected already.

    Raises:
        CannotConnect: The jump host does not forward, or cannot reach it either.
    """
    settings = place.settings
    try:
        return link.open_channel("direct-tcpip", (settings.hostname, settings.port))
    except ChannelException as error:
        if error.code == 1:
            raise place.failed(
                "unreachable",
                f"The jump host {link.place.name} does not allow connections to other servers.",
                "Set AllowTcpForwarding yes in its sshd_config.",
            ) from error
        raise place.failed(
            "unreachable",
            f"The jump host {link.place.name} cannot reach {place.address}: {error.text}.",
            "Check the name and address as seen from the jump host, and the firewall between them.",
        ) from error


def dial_command(place: Place, command: str, breaker: Breaker) -> socket.socket:
    """Start a ProxyCommand and return the connection it makes."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"], stdin=theirs, stdout=theirs, start_new_session=True
    )
    theirs.close()

    def stop() -> None:
        ours.close()
        process.terminate()
        process.wait(timeout=5)

    breaker.add(stop)
    return ours


class ChannelPipes:
    """A command running in a channel of its own, as :class:`~.conversation.Pipes`.

    Args:
        link: A connection that is logged in.
        command: The command line.
        limits: How long things may take.
    """

    def __init__(self, link: Link, command: str, limits: Limits) -> None:
        self._link = link
        self._limits = limits
        try:
            self._channel = link.open_channel("session")
        except ChannelException as error:
            raise link.place.failed(
                "no_shell",
                f"{link.place.subject} opens no session: {error.text}.",
                "Too many sessions may be open (MaxSessions in sshd_config).",
            ) from error
        self.taken = 0
        self._ended_at: float | None = None
        self._poll = select.poll()
        self._poll.register(self._channel.fileno(), select.POLLIN)
        request = Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(self._channel.remote_chanid)
        request.add_string("exec")
        request.add_boolean(True)
        request.add_string(command)
        # Channel.exec_command would wait for the reply: a round trip, and without a time limit.
        link.transport._send_user_message(request)

    def wait(self, seconds: float) -> None:
        """Return when there may be output or the end, or after so many seconds."""
        self._poll.poll(seconds * 1000)
        if self._link.silence > self._limits.dead:
            error = self._link.lost()
            self._abandon()
            raise error

    def read(self) -> tuple[bytes, bytes]:
        """Return what arrived on standard output and standard error."""
        channel = self._channel
        stdout = channel.recv(1 << 20) if channel.recv_ready() else b""
        stderr = channel.recv_stderr(1 << 20) if channel.recv_stderr_ready() else b""
        return stdout, stderr

    def send(self, data: bytes | memoryview) -> None:
        """Send to standard input; returns when all of it was taken."""
        view = memoryview(data)
        while view:
            try:
                sent = self._channel.send(bytes(view[: 1 << 15]))
            except (OSError, SSHException, EOFError) as error:
                raise PipesGoneError from error
            if sent == 0:
                raise PipesGoneError
            self.taken += sent
            view = view[sent:]

    def finish(self) -> None:
        """End standard input."""
        with contextlib.suppress(OSError, SSHException, EOFError):
            self._channel.shutdown_write()

    def exit_status(self) -> int | None:
        """Return the exit status once it has ended and all output was read."""
        channel = self._channel
        if channel.recv_ready() or channel.recv_stderr_ready():
            return None
        has_status = channel.status_event.is_set() and channel.exit_status != -1
        if channel.closed or (channel.eof_received and has_status):
            if has_status:
                return channel.exit_status
            if channel.eof_received:
                return -1  # ended by a signal, which paramiko does not tell
            raise self._link.lost()
        if has_status:
            # Something it left running may hold the streams open for ever.
            self._ended_at = self._ended_at or time.monotonic()
            if time.monotonic() - self._ended_at > 2:
                return channel.exit_status
        return None

    def close(self) -> None:
        """Close all three streams at once."""
        # Off this thread, because saying goodbye blocks when the network does.
        threading.Thread(target=self._say_goodbye, daemon=True).start()

    def _say_goodbye(self) -> None:
        with contextlib.suppress(OSError, SSHException, EOFError):
            self._channel.close()

    def _abandon(self) -> None:
        threading.Thread(target=self._link.transport.close, daemon=True).start()
