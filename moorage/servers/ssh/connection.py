"""An SSH connection: key exchange, host key verification and channels."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence

from paramiko import Channel, ChannelException, Message, PKey, SSHException, Transport
from paramiko.common import cMSG_GLOBAL_REQUEST
from paramiko.packet import Packetizer

from moorage.errors import CannotConnect
from moorage.servers.ssh import known_hosts
from moorage.servers.ssh.dial import Breaker, HungUpError, Limits, Machine
from moorage.servers.ssh.known_hosts import KeyStatus, KnownKey
from moorage.servers.transport import Asker, HostKey

# Without a handler, logging would print paramiko's errors onto the screen.
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


class _Packets(Packetizer):
    """Records the server's banner and the time of the last received packet."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.last_heard = time.monotonic()
        self.greeting = ""

    def readline(self, timeout: float) -> str:
        line = str(super().readline(timeout))
        self.greeting = self.greeting or line
        return line

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        data = super().read_all(n, check_rekey)
        self.last_heard = time.monotonic()
        return data


class _Transport(Transport):
    """Can prefer host certificates, which paramiko requests last."""

    prefers_certificates = False

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        names = tuple(super().preferred_keys)
        if not self.prefers_certificates:
            return names
        return tuple(sorted(names, key=lambda name: "-cert-" not in name))


class Link:
    """An SSH connection before the login.

    Args:
        connection: The socket, or a channel through the jump host.
        machine: The machine.
        limits: Timeouts.
        breaker: Closes the connection when opened.
    """

    def __init__(
        self,
        connection: socket.socket | Channel,
        machine: Machine,
        limits: Limits,
        breaker: Breaker,
    ) -> None:
        self.machine = machine
        self._limits = limits
        self._breaker = breaker
        self.transport = _Transport(connection, packetizer_class=_Packets)
        self.transport.banner_timeout = limits.handshake
        self.transport.handshake_timeout = limits.handshake
        breaker.add(self.transport.close)
        options = self.transport.get_security_options()
        options.ciphers = [name for name in _CIPHERS if name in options.ciphers]
        options.digests = [name for name in _MACS if name in options.digests]

    @property
    def is_alive(self) -> bool:
        """Whether the connection is logged in and not known to be broken."""
        return self.transport.is_active() and self.transport.is_authenticated()

    @property
    def silence(self) -> float:
        """Seconds since the last received packet."""
        return time.monotonic() - self._packets.last_heard

    @property
    def _packets(self) -> _Packets:
        packets = self.transport.packetizer
        assert isinstance(packets, _Packets)
        return packets

    def handshake(self, asker: Asker) -> None:
        """Exchange keys and verify the host key.

        Args:
            asker: Asks the operator whether to trust an unknown host key.

        Raises:
            CannotConnect: The server does not speak SSH, or its host key is not trusted.
        """
        known = known_hosts.known_keys(self.machine.known_hosts, *self.machine.key_name)
        options = self.transport.get_security_options()
        # Like OpenSSH, prefer the types of keys that are already known.
        kinds = {key.kind for key in known if not key.marker}
        self.transport.prefers_certificates = any(key.marker == "@cert-authority" for key in known)
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
        if not self._has_certificate(key, known):
            self._check_host_key(key.get_name(), key.asbytes(), asker)

    def keep_alive(self) -> None:
        """Start sending keepalives; sshd does not answer them before the login."""
        self.transport.packetizer.set_keepalive(self._limits.keepalive, self._send_keepalive)

    def open_channel(self, kind: str, destination: tuple[str, int] | None = None) -> Channel:
        """Open a channel.

        Args:
            kind: ``session``, or ``direct-tcpip`` to connect to another server through this one.
            destination: The other server's host and port.

        Raises:
            CannotConnect: The connection was lost, or the server did not answer.
            ChannelException: The server refused, or cannot reach the other server.
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
        """Return the error for a lost connection."""
        if self._breaker.is_open:
            return self.machine.failed("connection_closed", "The connection was closed.")
        return self.machine.failed(
            "connection_lost",
            f"The connection to {self.machine.address} was lost.",
            "The network failed, or the machine went down or restarted.",
        )

    def _has_certificate(self, key: PKey, known: Sequence[KnownKey]) -> bool:
        certificate = key.public_blob
        if certificate is None:
            return False
        name, _ = self.machine.key_name
        return known_hosts.is_certified(known, name, certificate.key_type, certificate.key_blob)

    def _send_keepalive(self) -> None:
        # Unlike Transport.set_keepalive, request a reply: only that tells a dead server from a
        # quiet one, especially through a jump host.
        message = Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        transmit(self.transport, message)

    def _no_handshake(self) -> CannotConnect:
        if self._breaker.is_open:
            return self.lost()
        error = self.transport.get_exception()
        text = str(error or "")
        where = self.machine.address
        if "Incompatible" in type(error).__name__:
            return self.machine.failed(
                "unreachable",
                f"{self.machine.subject} at {where} has no algorithm in common with Moorage: "
                f"{text}.",
                "Its SSH server is too old, or its algorithms are restricted (Ciphers, "
                "KexAlgorithms).",
            )
        greeting = self._packets.greeting
        if greeting and not greeting.startswith("SSH-"):
            return self.machine.failed(
                "unreachable",
                f"The service at {where} is not an SSH server.",
                "Check the port.",
            )
        return self.machine.failed(
            "unreachable",
            f"{self.machine.subject} at {where} accepts the connection, then closes it or sends "
            "nothing.",
            "It may be starting, overloaded (MaxStartups) or blocking this address (fail2ban).",
        )

    # -- the host key ----------------------------------------------------------------------------

    def _check_host_key(self, kind: str, blob: bytes, asker: Asker) -> None:
        files = self.machine.known_hosts
        name, port = self.machine.key_name
        status, known = known_hosts.key_status(files, name, port, kind, blob)
        if status is KeyStatus.UNKNOWN:
            while not known_hosts.decision_lock.acquire(timeout=0.2):
                if self._breaker.is_open:
                    raise self.lost()
            try:
                status, known = known_hosts.key_status(files, name, port, kind, blob)
                if status is KeyStatus.UNKNOWN:
                    self._decide(name, port, kind, blob, asker)
                    return
            finally:
                known_hosts.decision_lock.release()
        if status is KeyStatus.KNOWN:
            return
        assert known is not None
        presented = known_hosts.fingerprint(blob)
        written = known_hosts.address(name, port)
        if status is KeyStatus.REVOKED:
            raise self._untrusted(
                "host_key_revoked",
                f"{self.machine.subject} presents the host key {presented} ({kind}), which is "
                f"revoked in {known.file}:{known.line}.",
                "Find out why before you connect.",
            )
        raise self._untrusted(
            "host_key_changed",
            f"The host key of {self.machine.in_sentence} has changed: it is {presented} ({kind}), "
            f"but {known.file}:{known.line} has {known_hosts.fingerprint(known.blob)} "
            f"({known.kind}). "
            "The connection may be intercepted, or the server was reinstalled.",
            f"If the change is expected: {known.removal_advice(written)}",
        )

    def _decide(self, name: str, port: int, kind: str, blob: bytes, asker: Asker) -> None:
        settings = self.machine.settings
        key = HostKey(
            self.machine.server,
            known_hosts.address(name, port),
            kind,
            known_hosts.fingerprint(blob),
        )
        accepted = settings.strict in {"no", "accept-new"} or (
            settings.strict != "yes" and asker.accept_host_key(key)
        )
        if not accepted:
            raise self._untrusted(
                "host_key_unknown",
                f"The host key of {key.address} is not known: {key.fingerprint} ({kind}).",
                "Compare it with the output of ssh-keygen -l -f /etc/ssh/ssh_host_*_key.pub on the "
                f"server, then accept it here or with 'ssh {self.machine.name}'.",
            )
        if settings.known_hosts:
            file = settings.known_hosts[0]
            known_hosts.add_key(file, name, port, kind, blob, hashed=settings.hash_known_hosts)
        if not self.transport.is_active():
            lost = self.lost()
            raise HungUpError(lost.message, advice=lost.advice, server=lost.server, code=lost.code)

    def _untrusted(self, code: str, message: str, advice: str) -> CannotConnect:
        self.transport.close()
        return self.machine.failed(code, message, advice)


def dial_through(link: Link, machine: Machine) -> Channel:
    """Connect to a server through a connected jump host.

    Raises:
        CannotConnect: The jump host does not forward connections, or cannot reach the server.
    """
    settings = machine.settings
    try:
        return link.open_channel("direct-tcpip", (settings.hostname, settings.port))
    except ChannelException as error:
        if error.code == 1:
            raise machine.failed(
                "unreachable",
                f"The jump host {link.machine.name} does not allow connections to other servers.",
                "Set AllowTcpForwarding yes in its sshd_config.",
            ) from error
        raise machine.failed(
            "unreachable",
            f"The jump host {link.machine.name} cannot reach {machine.address}: {error.text}.",
            "Check how the jump host resolves the name, and the firewalls between them.",
        ) from error


def transmit(transport: Transport, message: Message) -> None:
    """Send a message, waiting for a key exchange to finish."""
    transport._send_user_message(message)  # type: ignore[attr-defined]  # missing in the stubs
