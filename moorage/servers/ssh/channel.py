"""A command in an SSH channel of its own."""

from __future__ import annotations

import contextlib
import select
import threading
import time

from paramiko import ChannelException, Message, SSHException
from paramiko.common import cMSG_CHANNEL_REQUEST

from moorage.servers.script_session import PipesGoneError
from moorage.servers.ssh.connection import Link, transmit
from moorage.servers.ssh.dial import Limits


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
        transmit(link.transport, request)

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
