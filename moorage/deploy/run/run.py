"""One run on one server: send it, follow its log, and report its result."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable

from moorage.deploy.events import (
    Committed,
    Event,
    LogLine,
    OnEvent,
    RunEnded,
    Staged,
    StepBegan,
    WaitsUntil,
    Warned,
    ending_in_words,
)
from moorage.desired.layout import RUNS
from moorage.errors import CannotConnect, MoorageError
from moorage.escape import printable
from moorage.servers.run_results import RunResult, RunStatus, read_result
from moorage.servers.transport import Exchange, Transport
from templates.load import shell_script

_LONGEST_LINE = 1 << 16
_NUMBER = re.compile(r"@number\t[a-z_]{1,20}\t[0-9]{1,18}")
_MOST_NUMBERS = 20
_UNTIL = re.compile(r"@until\t[0-9]{1,12}")
_ATTACH = f'IFS= read -r id\nrun={RUNS}/$id\n[ -d "$run" ] || exit 3\n'


class ServerRun:
    """A run on one server, followed in its own thread.

    Attributes:
        server: The server's label.
        run_id: The run's id.
        ended: Its result, once it has ended.
        numbers: What it has counted, by name.
    """

    def __init__(
        self,
        transport: Transport,
        run_id: str,
        on_event: OnEvent,
        redact: Callable[[str], str],
    ) -> None:
        self.server = transport.server
        self.run_id = run_id
        self.ended: RunEnded | None = None
        self.numbers: dict[str, int] = {}
        self._transport = transport
        self._on_event = on_event
        self._redact = redact
        self._partial = b""
        self._step = ""
        self._warnings: list[str] = []
        self._result: RunResult | None = None
        self._exchange: Exchange | None = None
        self._words: list[bytes] = []
        self._lock = threading.Lock()

    @property
    def end(self) -> RunEnded:
        """Its end; lost, if that is not known."""
        return self.ended or RunEnded(
            self.server, self.run_id, RunStatus.LOST, "it was not followed", code="run_lost"
        )

    @property
    def has_begun(self) -> bool:
        """Whether its work has begun, after packages that it needs were installed."""
        return self._step not in {"", "packages"}

    def start(self, payload: Iterable[bytes]) -> None:
        """Send the run and follow it until it ends; blocks.

        Args:
            payload: The input of ``start.sh``.
        """
        self._emit(StepBegan(self.server, "upload"))
        names = ("run/full_disk.sh", "start.sh", "follow.sh")
        self._follow("".join(map(shell_script, names)), payload)

    def attach(self) -> None:
        """Follow a run in progress, or read its result; blocks."""
        self._follow(_ATTACH + shell_script("follow.sh"), [f"{self.run_id}\n".encode()])

    def go(self) -> None:
        """Let a staged run switch."""
        self._signal(b"go\n")

    def abort(self) -> None:
        """Make the run stop before its next step and roll back."""
        self._signal(b"abort\n")

    def keep(self) -> None:
        """Let a switched run keep its change."""
        self._signal(b"keep\n")

    def undo(self) -> None:
        """Make a switched run undo its change, because another server failed."""
        self._signal(b"undo\n")

    def _follow(self, script: str, payload: Iterable[bytes]) -> None:
        lost = ""
        try:
            completed = self._transport.run(
                script, payload=payload, on_stdout=self._feed, on_start=self._started
            )
            if completed.exit_status != 0 and self._result is None:
                last = completed.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
                lost = (
                    f"following the run ended with status {completed.exit_status}: {''.join(last)}"
                )
        except MoorageError as error:
            lost = error.message
        except Exception as error:
            # Other runs wait for this one to end, so report any error as its result.
            logging.getLogger(__name__).debug("following a run failed", exc_info=True)
            lost = f"following the run failed: {error}"
        self._feed(b"\n" if self._partial else b"")
        with self._lock:
            self._exchange = None
        result = self._result or RunResult(
            RunStatus.LOST, "run_lost", lost or "the run reported no result"
        )
        self.ended = RunEnded(
            self.server,
            self.run_id,
            result.status,
            self._redact(result.message),
            self._step,
            result.code,
            tuple(self._warnings),
        )
        self._emit(self.ended)

    def _started(self, exchange: Exchange) -> None:
        with self._lock:
            self._exchange = exchange
            words, self._words = self._words, []
        for word in words:
            exchange.send(word)

    def _signal(self, word: bytes) -> None:
        with self._lock:
            exchange = self._exchange
            if exchange is None:
                self._words.append(word)
                return
        # A lost connection is reported by the thread that follows the log.
        try:
            exchange.send(word)
        except CannotConnect:
            return

    def _feed(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _LONGEST_LINE:
            # Output without line breaks must not fill this machine's memory.
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self._take(line.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        if not line.startswith("@"):
            self._emit(LogLine(self.server, printable(self._redact(line))))
            return
        word, *values = line.split("\t")
        if word == "@step" and len(values) == 2:
            # Report the step that failed, not the rollback after it.
            if values[1] != "rollback":
                self._step = values[1]
            self._emit(StepBegan(self.server, values[1]))
        elif word == "@number" and _NUMBER.fullmatch(line) and len(self.numbers) < _MOST_NUMBERS:
            self.numbers[values[0]] = int(values[1])
        elif word == "@until" and _UNTIL.fullmatch(line):
            self._emit(WaitsUntil(self.server, float(values[0])))
        elif word == "@staged":
            self._emit(Staged(self.server))
        elif word == "@committed":
            self._emit(Committed(self.server))
        elif word == "@warning":
            self._warnings.append(printable(self._redact(" ".join(values))))
            self._emit(Warned(self.server, self._warnings[-1]))
        elif word == "@failing" and len(values) >= 2:
            failing = read_result(values[0], [*values[1:], ""])
            text = ending_in_words(failing.status, self._step, failing.message)
            self._emit(LogLine(self.server, printable(self._redact(text))))
        elif word == "@result" and len(values) >= 2:
            self._result = read_result(values[0], values[1:])

    def _emit(self, event: Event) -> None:
        self._on_event(event)
