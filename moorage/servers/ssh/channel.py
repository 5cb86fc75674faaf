"""Run a command in its own SSH channel."""

from __future__ import annotations

import contextlib
import select
import threading
import time

from paramiko import ChannelException, Message, SSHException
from paramiko.common import cMSG_CHANNEL_REQUEST

from moorage.servers.script_session import InputClosedError
from moorage.servers.ssh.connection import Link, transmit
from moorage.servers.ssh.dial import Limits


class ChannelPipes:
    """A command in its own channel, as :class:`~.script_session.Pipes`.

    Args:
        link: A logged-in connection.
        command: The command line.
        limits: Timeouts.
    """

    def __init__(self, link: Link, command: str, limits: Limits) -> None:
        self._link = link
        self._limits = limits
        try:
            self._channel = link.open_channel("session")
        except ChannelException as error:
            raise link.machine.failed(
                "no_shell",
                f"{link.machine.subject} refused to open a session: {error.text}.",
                "Too many sessions may be open (MaxSessions in sshd_config).",
            ) from error
        self.bytes_sent = 0
        self._ended_at: float | None = None
        self._poll = select.poll()
        self._poll.register(self._channel.fileno(), select.POLLIN)
        request = Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(self._channel.remote_chanid)
        request.add_string("exec")
        request.add_boolean(True)
        request.add_string(command)
        # Channel.exec_command would wait for the reply: one more round trip, without a timeout.
        transmit(link.transport, request)

    def wait(self, seconds: float) -> None:
        """Return when there may be output, at the end, or after this many seconds."""
        self._poll.poll(seconds * 1000)
        if self._link.silence > self._limits.dead:
            error = self._link.lost()
            self._abandon()
            raise error

    def read(self) -> tuple[bytes, bytes]:
        """Return the new data on standard output and standard error."""
        channel = self._channel
        stdout = channel.recv(1 << 20) if channel.recv_ready() else b""
        stderr = channel.recv_stderr(1 << 20) if channel.recv_stderr_ready() else b""
        return stdout, stderr

    def send(self, data: bytes | memoryview) -> None:
        """Send to standard input; return once all of it was accepted."""
        view = memoryview(data)
        while view:
            try:
                sent = self._channel.send(bytes(view[: 1 << 15]))
            except (OSError, SSHException, EOFError) as error:
                raise InputClosedError from error
            if sent == 0:
                raise InputClosedError
            self.bytes_sent += sent
            view = view[sent:]

    def finish(self) -> None:
        """Close standard input."""
        with contextlib.suppress(OSError, SSHException, EOFError):
            self._channel.shutdown_write()

    def exit_status(self) -> int | None:
        """Return the exit status once the command has ended and all output was read."""
        channel = self._channel
        if channel.recv_ready() or channel.recv_stderr_ready():
            return None
        has_status = channel.status_event.is_set() and channel.exit_status != -1
        if channel.closed or (channel.eof_received and has_status):
            if has_status:
                return channel.exit_status
            if channel.eof_received:
                return -1  # ended by a signal, which paramiko does not report
            raise self._link.lost()
        if has_status:
            # Background processes can hold the streams open for ever.
            self._ended_at = self._ended_at or time.monotonic()
            if time.monotonic() - self._ended_at > 2:
                return channel.exit_status
        return None

    def close(self) -> None:
        """Close all three streams."""
        # In a thread, because closing a channel blocks if the network does.
        threading.Thread(target=self._close_channel, daemon=True).start()

    def _close_channel(self) -> None:
        with contextlib.suppress(OSError, SSHException, EOFError):
            self._channel.close()

    def _abandon(self) -> None:
        threading.Thread(target=self._link.transport.close, daemon=True).start()
