"""One SSH connection: key exchange, the host's key, and the channels in it."""

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
from moorage.servers.ssh.dial import Breaker, HungUpError, Limits, Place
from moorage.servers.ssh.known_hosts import KnownKey, Standing
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


class _Packets(Packetizer):
    """Remembers when the other side was last heard of, and how it greeted."""

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
    """Can be told to ask for host certificates first, which paramiko asks for last."""

    prefers_certificates = False

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        names = tuple(super().preferred_keys)
        if not self.prefers_certificates:
            return names
        return tuple(sorted(names, key=lambda name: "-cert-" not in name))


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
        self.transport = _Transport(connection, packetizer_class=_Packets)
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
        return time.monotonic() - self._packets.last_heard

    @property
    def _packets(self) -> _Packets:
        packets = self.transport.packetizer
        assert isinstance(packets, _Packets)
        return packets

    def shake_hands(self, asker: Asker) -> None:
        """Exchange keys and make sure that the server is who it should be.

        Args:
            asker: Who decides about a key that nobody knows yet.

        Raises:
            CannotConnect: It does not speak SSH, or its key is not trusted.
        """
        known = known_hosts.known_keys(self.place.known_hosts, *self.place.key_name)
        options = self.transport.get_security_options()
        # As OpenSSH does: a server with several keys is asked for one that is known.
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
        """Ask for signs of life from now on; sshd does not answer that before the login."""
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

    def _has_certificate(self, key: PKey, known: Sequence[KnownKey]) -> bool:
        certificate = key.public_blob
        if certificate is None:
            return False
        name, _ = self.place.key_name
        return known_hosts.is_certified(known, name, certificate.key_type, certificate.key_blob)

    def _ask_for_life(self) -> None:
        # A reply is wanted, unlike with Transport.set_keepalive: only that tells a dead peer from
        # a quiet one, and through a jump host nothing else does.
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
        where = self.place.address
        if "Incompatible" in type(error).__name__:
            return self.place.failed(
                "unreachable",
                f"{self.place.subject} at {where} has no encryption method in common with Moorage:"
                f" {text}.",
                "Its SSH server is too old, or restricted (Ciphers, KexAlgorithms).",
            )
        greeting = self._packets.greeting
        if greeting and not greeting.startswith("SSH-"):
            return self.place.failed(
                "unreachable",
                f"What answers at {where} is not an SSH server.",
                "Check the port.",
            )
        return self.place.failed(
            "unreachable",
            f"{self.place.subject} at {where} takes the connection, but hangs up or says nothing.",
            "It may be starting, overloaded (MaxStartups), or block this address (fail2ban).",
        )

    # -- the host's key --------------------------------------------------------------------------

    def _check_host_key(self, kind: str, blob: bytes, asker: Asker) -> None:
        files = self.place.known_hosts
        name, port = self.place.key_name
        verdict, known = known_hosts.standing(files, name, port, kind, blob)
        if verdict is Standing.UNKNOWN:
            while not known_hosts.deciding.acquire(timeout=0.2):
                if self._breaker.is_open:
                    raise self.lost()
            try:
                verdict, known = known_hosts.standing(files, name, port, kind, blob)
                if verdict is Standing.UNKNOWN:
                    self._decide(name, port, kind, blob, asker)
                    return
            finally:
                known_hosts.deciding.release()
        if verdict is Standing.KNOWN:
            return
        assert known is not None
        shown = known_hosts.fingerprint(blob)
        written = known_hosts.address(name, port)
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
            f"{known.file}:{known.line} holds {known_hosts.fingerprint(known.blob)} "
            f"({known.kind}). "
            "Somebody may be listening in, or the server was installed anew.",
            f"If the change was expected: {known.how_to_forget(written)}",
        )

    def _decide(self, name: str, port: int, kind: str, blob: bytes, asker: Asker) -> None:
        settings = self.place.settings
        key = HostKey(
            self.place.server,
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
                "Compare it with what ssh-keygen -l -f /etc/ssh/ssh_host_*_key.pub prints on the "
                f"server, then accept it here or with 'ssh {self.place.name}'.",
            )
        if settings.known_hosts:
            file = settings.known_hosts[0]
            known_hosts.remember(file, name, port, kind, blob, hashed=settings.hash_known_hosts)
        if not self.transport.is_active():
            lost = self.lost()
            raise HungUpError(lost.message, advice=lost.advice, server=lost.server, code=lost.code)

    def _untrusted(self, code: str, message: str, advice: str) -> CannotConnect:
        self.transport.close()
        return self.place.failed(code, message, advice)


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


def transmit(transport: Transport, message: Message) -> None:
    """Send a message once keys are not being exchanged."""
    transport._send_user_message(message)  # type: ignore[attr-defined]  # missing in the stubs
