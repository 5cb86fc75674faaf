"""The transport to the local machine: runs the same scripts without SSH."""

from __future__ import annotations

import contextlib
import getpass
import os
import select
import subprocess
import threading
from collections.abc import Callable, Iterable

from moorage.answers.model import Server
from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect, SecretName, SudoRefused
from moorage.servers import script_command
from moorage.servers.script_session import InputClosedError, Job, Root, ScriptSession
from moorage.servers.transport import (
    Asker,
    Cancel,
    Completed,
    Exchange,
    Resolve,
)

_CHUNK = 1 << 16


class LocalTransport:
    """This machine; see :class:`moorage.servers.transport.Transport`.

    Args:
        server: The server as in the answers.
        asker: Asks the operator for the sudo password.
        resolve: Resolves the reference to the sudo password.
    """

    def __init__(self, server: Server, asker: Asker, resolve: Resolve) -> None:
        self.server = server.host
        self._answers = server
        self._asker = asker
        self._resolve = resolve
        self._sudo_password: Secret | None = None
        self._running: set[ProcessPipes] = set()

    @property
    def public_address(self) -> str:
        """The loopback address."""
        return "127.0.0.1"

    def connect(self) -> None:
        """Do nothing: no connection is needed."""

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
        """Run a POSIX shell script as root; see :meth:`.transport.Transport.run`."""
        is_root = os.geteuid() == 0
        user = "root" if is_root else getpass.getuser()
        what = SecretName("sudo_password", user)
        reference = self._answers.sudo_password
        if not is_root and self._sudo_password is None and reference is not None:
            self._sudo_password = self._resolve(reference, "sudo_password")
        try:
            pipes = ProcessPipes(
                script_command.AS_ROOT if is_root else script_command.WITH_SUDO, server=self.server
            )
        except FileNotFoundError as error:
            raise SudoRefused(
                f"This machine has no {error.filename}.", server=self.server, code="sudo_missing"
            ) from error
        self._running.add(pipes)
        try:
            session = ScriptSession(
                pipes,
                Job(script, payload, on_stdout, on_start, timeout, deadline, cancel),
                Root(
                    user=user,
                    needs_sudo=not is_root,
                    password=self._sudo_password,
                    ask=lambda rejected: (
                        self._asker.secret(what, self.server, rejected)
                        if reference is None
                        else self._resolve(reference, "sudo_password", rejected)
                    ),
                ),
                self.server,
            )
            completed = session.run()
        finally:
            self._running.discard(pipes)
            pipes.release()
        self._sudo_password = session.password
        return completed

    def close(self) -> None:
        """Stop waiting for running scripts."""
        for pipes in list(self._running):
            pipes.close()


class ProcessPipes:
    """A local process, as :class:`~.script_session.Pipes`.

    Args:
        arguments: The argument list.
        server: The server's label, for errors.
    """

    def __init__(self, arguments: tuple[str, ...], server: str) -> None:
        self._server = server
        # Its own session, so that Ctrl-C in the operator's terminal reaches only Moorage.
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._open = {stdout.fileno(), stderr.fileno()}
        self._stdin_lock = threading.Lock()
        self._is_closed = threading.Event()
        self.bytes_sent = 0
        for stream in (stdin, stdout, stderr):
            os.set_blocking(stream.fileno(), False)

    def wait(self, seconds: float) -> None:
        """Return when there may be output, at the end, or after this many seconds."""
        if not self._open:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return
        poll = select.poll()
        for descriptor in self._open:
            poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)

    def read(self) -> tuple[bytes, bytes]:
        """Return the new data on standard output and standard error."""
        return self._read_from(self._stdout.fileno()), self._read_from(self._stderr.fileno())

    def _read_from(self, descriptor: int) -> bytes:
        if descriptor not in self._open:
            return b""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            self._open.discard(descriptor)
        return data

    def send(self, data: bytes | memoryview) -> None:
        """Send to standard input; return once all of it was accepted."""
        view = memoryview(data)
        poll = select.poll()
        while view:
            with self._stdin_lock:
                if self._is_closed.is_set() or self._stdin.closed:
                    raise InputClosedError
                try:
                    sent = os.write(self._stdin.fileno(), view[:_CHUNK])
                    self.bytes_sent += sent
                    view = view[sent:]
                    continue
                except BlockingIOError:
                    poll.register(self._stdin.fileno(), select.POLLOUT)
                except OSError as error:
                    raise InputClosedError from error
            poll.poll(100)

    def finish(self) -> None:
        """Close standard input."""
        with self._stdin_lock:
            self._stdin.close()

    def exit_status(self) -> int | None:
        """Return the exit status once the process has ended and all output was read."""
        if self._is_closed.is_set():
            raise CannotConnect(
                "The connection was closed.", server=self._server, code="connection_closed"
            )
        status = self._process.poll()
        if status is not None and self._open:
            # Background processes can hold the streams open for ever, so we do not wait for their
            # end, but still read what the process itself wrote last.
            poll = select.poll()
            for descriptor in self._open:
                poll.register(descriptor, select.POLLIN)
            return None if poll.poll(0) else status
        return status

    def close(self) -> None:
        """Stop reading and writing. Safe from other threads."""
        self._is_closed.set()
        self.finish()

    def release(self) -> None:
        """Close the streams; call only from the thread that reads them."""
        self.close()
        self._open.clear()
        self._stdout.close()
        self._stderr.close()
        if self._process.poll() is None:
            threading.Thread(target=self._process.wait, daemon=True).start()
