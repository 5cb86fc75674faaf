"""Run one script, from its start to its exit status.

It talks to :class:`Pipes`, which are an SSH channel or a local process.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect
from moorage.servers import sudo
from moorage.servers.script_command import NOT_STARTED, PROMPT, READY, preamble
from moorage.servers.transport import MOST_PROMPTS, Cancel, Completed, Exchange

_TICK = 0.1
"""Seconds between checks for cancellation and time limits."""
_START_SILENCE = 60.0
"""Seconds without output allowed before the script starts."""
_MOST_NOISE = 1 << 20
"""Bytes the login shell is allowed to print before the script starts."""
_MOST_OUTPUT = 1 << 26
"""Bytes of output to keep in memory if there is no ``on_stdout``."""
_CHUNK = 1 << 18


class InputClosedError(Exception):
    """The other side no longer accepts input: it has ended, or the connection was lost."""


class Pipes(Protocol):
    """The standard streams of a started command."""

    def wait(self, seconds: float) -> None:
        """Return when there may be output, at the end, or after this many seconds.

        Raises:
            CannotConnect: The connection was lost.
        """

    def read(self) -> tuple[bytes, bytes]:
        """Return the new data on standard output and standard error, if any."""

    def send(self, data: bytes | memoryview) -> None:
        """Send to standard input; return once all of it was accepted.

        Raises:
            InputClosedError: Standard input is no longer read.
        """

    def finish(self) -> None:
        """Close standard input."""

    @property
    def bytes_sent(self) -> int:
        """The number of bytes accepted on standard input so far."""

    def exit_status(self) -> int | None:
        """Return the exit status once the command has ended and all output was read, else None.

        Raises:
            CannotConnect: The connection was lost before an exit status arrived.
        """

    def close(self) -> None:
        """Close all three streams. Safe to call from other threads."""


@dataclass(frozen=True)
class Job:
    """The script to run; the fields are those of :meth:`Transport.run`."""

    script: str
    payload: bytes | Iterable[bytes] = b""
    on_stdout: Callable[[bytes], None] | None = None
    on_start: Callable[[Exchange], None] | None = None
    timeout: float | None = None
    deadline: float | None = None
    cancel: Cancel | None = None


@dataclass(frozen=True)
class Root:
    """The way the script becomes root.

    Attributes:
        user: The logged-in user.
        needs_sudo: Whether that user needs sudo.
        password: The sudo password, if known; it is sent right away.
        ask: Asks for the password if it is not known and sudo requires one, given the previous
            one if sudo rejected that; returns None if there is no other.
    """

    user: str
    needs_sudo: bool
    password: Secret | None
    ask: Callable[[Secret | None], Secret | None]


class ScriptSession:
    """Runs one script; ``start`` is the time limit in seconds until the script starts.

    Attributes:
        password: The password that was sent to sudo, if any.
    """

    def __init__(
        self, pipes: Pipes, job: Job, root: Root, server: str, start: float = 120.0
    ) -> None:
        self._pipes = pipes
        self._job = job
        self._root = root
        self._server = server
        self._start = start
        self._seconds_asking = 0.0
        self._output_size = 0
        self.password: Secret | None = None
        self._ready = threading.Event()
        self._over = threading.Event()
        self._send_lock = threading.Lock()
        self._sender_failure: BaseException | None = None
        self._stdout: list[bytes] = []
        self._stderr: list[bytes] = []
        self._early_stdout = b""
        self._early_stderr = b""
        self._stdout_started = self._stderr_started = False
        self._prompts_answered = 0

    def run(self) -> Completed:
        """Send the script and its data, receive all output, and return the result.

        Raises:
            CannotConnect: See :meth:`Transport.run`.
            SudoRefused: See :meth:`Transport.run`.
        """
        if self._root.needs_sudo and self._root.password is not None:
            self._send_password(self._root.password)
        if not self._root.needs_sudo:
            self._ready.set()
        sender = threading.Thread(target=self._send_all, name=f"send {self._server}", daemon=True)
        sender.start()
        try:
            status = self._receive_all()
        finally:
            self._over.set()
            self._ready.set()
            self._pipes.close()
        sender.join(timeout=5)
        if self._sender_failure is not None:
            raise self._sender_failure
        if not self._stdout_started:
            raise self._not_started(status)
        return Completed(status, b"".join(self._stdout), b"".join(self._stderr))

    # -- the sending thread ----------------------------------------------------------------------

    def _send_all(self) -> None:
        try:
            # Only now is it certain that sudo reads no more of this stream.
            self._ready.wait()
            if self._over.is_set():
                return
            self._send(preamble(self._job.script))
            for chunk in self._chunks():
                self._send(chunk)
            if self._job.on_start is None:
                self._pipes.finish()
            else:
                self._job.on_start(Exchange(self._send_more, self._pipes.finish))
        except InputClosedError:
            # A script can end without reading all of its input. Whether it did, or the connection
            # was lost, is for the receiving side to find out.
            pass
        except BaseException as error:  # re-raised in the thread that called run
            if not isinstance(error.__cause__, InputClosedError):
                self._sender_failure = error
                self._pipes.close()

    def _chunks(self) -> Iterable[bytes | memoryview]:
        payload = self._job.payload
        if not isinstance(payload, bytes):
            yield from payload
            return
        view = memoryview(payload)
        for offset in range(0, len(view), _CHUNK):
            yield view[offset : offset + _CHUNK]

    def _send(self, data: bytes | memoryview) -> None:
        with self._send_lock:
            self._pipes.send(data)

    def _send_more(self, data: bytes) -> None:
        try:
            self._send(data)
        except InputClosedError as error:
            raise CannotConnect(
                "The script on the server no longer reads its input.",
                server=self._server,
                code="connection_lost",
            ) from error

    def _send_password(self, password: Secret) -> None:
        self.password = password
        # If it has already ended, its output says why.
        with contextlib.suppress(InputClosedError):
            self._send(password.reveal().encode() + b"\n")

    # -- the receiving side, in the thread that called run ---------------------------------------

    def _receive_all(self) -> int:
        began = heard = time.monotonic()
        sent = self._pipes.bytes_sent
        while True:
            self._pipes.wait(_TICK)
            self._check_cancelled()
            stdout, stderr = self._pipes.read()
            if stderr:
                self._take_stderr(stderr)
            if stdout:
                self._take_stdout(stdout)
            if stdout or stderr or self._pipes.bytes_sent != sent:
                # Not before: handling the output can include waiting for a password.
                heard = time.monotonic()
                sent = self._pipes.bytes_sent
            if self._sender_failure is not None:
                raise self._sender_failure
            self._check_deadline(time.monotonic() - began - self._seconds_asking)
            if stdout or stderr:
                continue
            status = self._pipes.exit_status()
            if status is not None:
                return status
            self._check_silence(time.monotonic() - heard)

    def _check_cancelled(self) -> None:
        if self._job.cancel is not None and self._job.cancel.is_set:
            raise CannotConnect(
                "Cancelled while a script was running on the server.",
                server=self._server,
                code="cancelled",
            )

    def _check_deadline(self, elapsed: float) -> None:
        deadline = self._job.deadline
        if not self._stdout_started:
            deadline = min(deadline or self._start, self._start)
        if deadline is not None and elapsed > deadline:
            late = "has not finished" if self._stdout_started else "has not run a command"
            raise CannotConnect(
                f"The server keeps sending, but {late} after {deadline:.0f} seconds.",
                advice="It may be overloaded, or its login shell keeps printing output.",
                server=self._server,
                code="too_slow",
            )

    def _check_silence(self, silence: float) -> None:
        limit = self._job.timeout
        if not self._stdout_started:
            limit = min(limit or _START_SILENCE, _START_SILENCE)
        if limit is not None and silence > limit:
            doing = "while a script was running" if self._stdout_started else "to the first command"
            output = "" if self._stdout_started else " ".join(self._sudo_text().split())
            raise CannotConnect(
                f"The server did not respond for {limit:.0f} seconds {doing}."
                + (f" Its last output was: {output[-200:]}" if output else ""),
                advice="It may be overloaded, out of memory or have a failing disk.",
                server=self._server,
                code="silent",
            )

    def _take_stdout(self, data: bytes) -> None:
        if not self._stdout_started:
            # The login shell's startup files can print something before the script starts.
            self._early_stdout += data
            before, ready, data = self._early_stdout.partition(READY)
            if not ready:
                self._check_noise(before)
                return
            self._stdout_started = True
            self._ready.set()
        if not data:
            return
        if self._job.on_stdout is not None:
            self._job.on_stdout(data)
        else:
            self._keep(self._stdout, data)

    def _take_stderr(self, data: bytes) -> None:
        if not self._stderr_started:
            self._early_stderr += data
            before, ready, data = self._early_stderr.partition(READY)
            self._check_noise(before)
            if not ready:
                if self._root.needs_sudo:
                    self._answer_prompts()
                return
            self._stderr_started = True
        if data:
            self._keep(self._stderr, data)

    def _keep(self, output: list[bytes], data: bytes) -> None:
        self._output_size += len(data)
        if self._output_size > _MOST_OUTPUT:
            raise CannotConnect(
                f"A script on the server printed more than {_MOST_OUTPUT // 1024**2} MiB.",
                server=self._server,
                code="too_much",
            )
        output.append(data)

    def _check_noise(self, noise: bytes) -> None:
        if len(noise) > _MOST_NOISE:
            raise CannotConnect(
                "The login shell keeps printing output and never runs the command.",
                advice="Check the login shell's startup files on the server (.bashrc).",
                server=self._server,
                code="no_shell",
            )

    def _answer_prompts(self) -> None:
        prompts = self._early_stderr.count(PROMPT)
        if prompts <= self._prompts_answered:
            return
        is_known = self._root.password is not None
        if prompts > MOST_PROMPTS:
            # Closing now leaves it at one failed attempt; sudo would allow three.
            raise sudo.password_wrong(self._root.user, self._server)
        self._prompts_answered = prompts
        if is_known and prompts == 1:
            return
        asked = time.monotonic()
        password = self._root.ask(self.password)
        self._seconds_asking += time.monotonic() - asked
        if password is None:
            refused = sudo.password_missing if prompts == 1 else sudo.password_wrong
            raise refused(self._root.user, self._server)
        self._send_password(password)

    def _sudo_text(self) -> str:
        return self._early_stderr.replace(PROMPT, b"").decode(errors="replace").strip()

    def _not_started(self, status: int) -> CannotConnect:
        text = self._sudo_text()
        if "password change required" in text.lower():  # printed by sshd instead of the command
            return CannotConnect(
                f"The password of {self._root.user} has expired.",
                advice=f"Log in once with 'ssh {self._root.user}@{self._server}' to change it.",
                server=self._server,
                code="login_refused",
                may_need_key=False,
            )
        if self._root.needs_sudo:
            return sudo.refusal(text, status, self._root.user, self._server)
        noise = self._early_stdout.decode(errors="replace")
        output = " ".join(f"{noise} {text}".split())[:300]
        ended = "" if status in {0, NOT_STARTED} else f" (exit status {status})"
        return CannotConnect(
            f"{self._root.user} can log in, but cannot run commands{ended}"
            + (f": {output}" if output else "."),
            advice="The account needs a shell such as /bin/sh and no forced command.",
            server=self._server,
            code="no_shell",
        )
