"""One script from its start to its exit status: what is sent when, and what the answers mean.

It speaks to a :class:`Pipes`, which is an SSH channel or a local process; this module is where the
two are the same.
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
from moorage.servers.transport import Cancel, Completed, Exchange

_TICK = 0.1
"""Seconds between two looks at whether waiting was cancelled or a time is up."""
_START_SILENCE = 60.0
"""Seconds in which a login says nothing before the script starts."""
_MOST_NOISE = 1 << 20
"""Bytes a login shell may print before the script starts."""
_MOST_OUTPUT = 1 << 26
"""Bytes a script may print that nobody takes as they arrive."""
_CHUNK = 1 << 18


class PipesGoneError(Exception):
    """The other side does not take any more input: it ended, or the connection is gone."""


class Pipes(Protocol):
    """The three standard streams of something that was started."""

    def wait(self, seconds: float) -> None:
        """Return when there may be output or the end, or after so many seconds.

        Raises:
            CannotConnect: The connection was lost.
        """

    def read(self) -> tuple[bytes, bytes]:
        """Return what arrived on standard output and standard error; empty when nothing did."""

    def send(self, data: bytes | memoryview) -> None:
        """Send to standard input; returns when all of it was taken.

        Raises:
            PipesGoneError: It is not being read any more.
        """

    def finish(self) -> None:
        """End standard input."""

    @property
    def taken(self) -> int:
        """How many bytes of standard input were taken so far."""

    def exit_status(self) -> int | None:
        """Return the exit status once it has ended and all output was read, else None.

        Raises:
            CannotConnect: It is gone without an exit status: the connection was lost.
        """

    def close(self) -> None:
        """Close all three streams at once. Safe from other threads."""


@dataclass(frozen=True)
class Job:
    """What is to be run; the fields are those of :meth:`Transport.run`."""

    script: str
    payload: bytes | Iterable[bytes] = b""
    on_stdout: Callable[[bytes], None] | None = None
    on_start: Callable[[Exchange], None] | None = None
    timeout: float | None = None
    deadline: float | None = None
    cancel: Cancel | None = None


@dataclass(frozen=True)
class Root:
    """How the script becomes root.

    Attributes:
        user: Who logged in.
        needs_sudo: Whether sudo is between them and the script.
        password: What sudo is told right away, if it is known.
        ask: Asks for the password when it is not known and sudo wants it.
    """

    user: str
    needs_sudo: bool
    password: Secret | None
    ask: Callable[[], Secret | None]


class Conversation:
    """One script being run; ``start`` are the seconds in which the login has to get to it.

    Attributes:
        password: The password sudo took, if it wanted one.
    """

    def __init__(
        self, pipes: Pipes, job: Job, root: Root, server: str, start: float = 120.0
    ) -> None:
        self._pipes = pipes
        self._job = job
        self._root = root
        self._server = server
        self._start = start
        self._asking = 0.0
        self._kept = 0
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

    def hold(self) -> Completed:
        """Send everything, take everything, and return how it ended.

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
            # Only now is it known that sudo reads no more of this stream.
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
        except PipesGoneError:
            # A script may end without reading everything. Whether it did, or the connection was
            # lost, is for the receiving side to find out.
            pass
        except BaseException as error:  # raised again in the thread that called run
            if not isinstance(error.__cause__, PipesGoneError):
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
        except PipesGoneError as error:
            raise CannotConnect(
                "The script on the server does not listen any more.",
                server=self._server,
                code="connection_lost",
            ) from error

    def _send_password(self, password: Secret) -> None:
        self.password = password
        # When it ended already, what it said tells why.
        with contextlib.suppress(PipesGoneError):
            self._send(password.reveal().encode() + b"\n")

    # -- the receiving side, in the thread that called run ---------------------------------------

    def _receive_all(self) -> int:
        began = heard = time.monotonic()
        taken = self._pipes.taken
        while True:
            self._pipes.wait(_TICK)
            self._check_cancelled()
            stdout, stderr = self._pipes.read()
            if stderr:
                self._take_stderr(stderr)
            if stdout:
                self._take_stdout(stdout)
            if stdout or stderr or self._pipes.taken != taken:
                # After the output was taken: somebody may have been asked for a password meanwhile.
                heard = time.monotonic()
                taken = self._pipes.taken
            if self._sender_failure is not None:
                raise self._sender_failure
            self._check_deadline(time.monotonic() - began - self._asking)
            if stdout or stderr:
                continue
            status = self._pipes.exit_status()
            if status is not None:
                return status
            self._check_patience(time.monotonic() - heard)

    def _check_cancelled(self) -> None:
        if self._job.cancel is not None and self._job.cancel.is_set:
            raise CannotConnect(
                "Cancelled while a script was running on the server.",
                server=self._server,
                code="cancelled",
            )

    def _check_deadline(self, took: float) -> None:
        deadline = self._job.deadline
        if not self._stdout_started:
            deadline = min(deadline or self._start, self._start)
        if deadline is not None and took > deadline:
            late = "is not done" if self._stdout_started else "runs no command"
            raise CannotConnect(
                f"The server keeps sending, but {late} after {deadline:.0f} seconds.",
                advice="It may be overloaded, or its login shell prints something again and again.",
                server=self._server,
                code="too_slow",
            )

    def _check_patience(self, silence: float) -> None:
        patience = self._job.timeout
        if not self._stdout_started:
            patience = min(patience or _START_SILENCE, _START_SILENCE)
        if patience is not None and silence > patience:
            doing = "while a script was running" if self._stdout_started else "to the first command"
            said = "" if self._stdout_started else " ".join(self._sudo_text().split())
            raise CannotConnect(
                f"The server said nothing for {patience:.0f} seconds {doing}."
                + (f" Its last words were: {said[-200:]}" if said else ""),
                advice="It may be overloaded, out of memory or have a failing disk.",
                server=self._server,
                code="silent",
            )

    def _take_stdout(self, data: bytes) -> None:
        if not self._stdout_started:
            # A login shell's start-up files may print something before the script begins.
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

    def _keep(self, kept: list[bytes], data: bytes) -> None:
        self._kept += len(data)
        if self._kept > _MOST_OUTPUT:
            raise CannotConnect(
                f"A script on the server printed more than {_MOST_OUTPUT // 1024**2} MiB.",
                server=self._server,
                code="too_much",
            )
        kept.append(data)

    def _check_noise(self, noise: bytes) -> None:
        if len(noise) > _MOST_NOISE:
            raise CannotConnect(
                "The login prints without end before any command can run.",
                advice="Look at the start-up files of the login shell on the server (.bashrc).",
                server=self._server,
                code="no_shell",
            )

    def _answer_prompts(self) -> None:
        prompts = self._early_stderr.count(PROMPT)
        if prompts <= self._prompts_answered:
            return
        if prompts > 1:
            # Closing now leaves it at one failed attempt; reading on would make it three.
            raise sudo.password_wrong(self._root.user, self._server)
        self._prompts_answered = prompts
        if self.password is not None:
            return
        asked = time.monotonic()
        password = self._root.ask()
        self._asking += time.monotonic() - asked
        if password is None:
            raise sudo.password_missing(self._root.user, self._server)
        self._send_password(password)

    def _sudo_text(self) -> str:
        return self._early_stderr.replace(PROMPT, b"").decode(errors="replace").strip()

    def _not_started(self, status: int) -> CannotConnect:
        text = self._sudo_text()
        if "password change required" in text.lower():  # so says sshd in place of the command
            return CannotConnect(
                f"The password of {self._root.user} has expired.",
                advice=f"Log in with 'ssh {self._root.user}@{self._server}' once to change it.",
                server=self._server,
                code="login_refused",
            )
        if self._root.needs_sudo:
            return sudo.refusal(text, status, self._root.user, self._server)
        noise = self._early_stdout.decode(errors="replace")
        said = " ".join(f"{noise} {text}".split())[:300]
        ended = "" if status in {0, NOT_STARTED} else f" (exit status {status})"
        return CannotConnect(
            f"The login of {self._root.user} works, but it cannot run commands{ended}"
            + (f": {said}" if said else "."),
            advice="The account needs a shell such as /bin/sh, and no forced command.",
            server=self._server,
            code="no_shell",
        )
