"""Run engine calls in a thread while the main thread handles prompts and Ctrl-C.

Only the main thread prompts. Only the main thread receives Ctrl-C, so a prompt ends cleanly and the
terminal echoes input again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from moorage.cli.errors import WasInterruptedError

_Result = TypeVar("_Result")
_TICK = 0.1


@dataclass
class _Outcome(Generic[_Result]):
    """The result or error of a call."""

    value: _Result | None = None
    error: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, call: Callable[[], _Result]) -> None:
        try:
            self.value = call()
        except BaseException as error:  # raised again in the waiting thread
            self.error = error
        self.ended.set()


class MainThread:
    """Prompts for other threads, and handles Ctrl-C for them.

    Attributes:
        is_interrupted: Whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.is_interrupted = False
        self._is_waiting = False
        # None means that the work has ended.
        self._questions: queue.SimpleQueue[tuple[_Outcome[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )

    def ask(self, question: Callable[[], _Result]) -> _Result | None:
        """Ask a question in the main thread and wait for the answer.

        Args:
            question: Prompts the operator and returns the answer.

        Returns:
            The answer, or None once the operator has interrupted or the command waits for nothing
            any more.
        """
        if threading.current_thread() is threading.main_thread():
            return question()
        outcome: _Outcome[_Result] = _Outcome()
        self._questions.put((outcome, question))
        while not outcome.ended.wait(_TICK):
            if self.is_interrupted or not self._is_waiting:
                outcome.ended.set()
                return None
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def wait_for(
        self, work: Callable[[], _Result], on_interrupt: Callable[[], None] = lambda: None
    ) -> _Result:
        """Run a function in a thread and ask its questions until it returns; main thread only.

        Args:
            work: The function.
            on_interrupt: Called on the first Ctrl-C; makes the function return soon.

        Returns:
            The function's result.

        Raises:
            WasInterruptedError: Ctrl-C was pressed a second time, and the function was abandoned.
        """
        outcome: _Outcome[_Result] = _Outcome()

        def run() -> None:
            outcome.run(work)
            self._questions.put(None)

        self._is_waiting = True
        threading.Thread(target=run, daemon=True).start()
        try:
            self._ask_until(outcome.ended, on_interrupt)
        finally:
            self._is_waiting = False
        if outcome.error is not None:
            raise outcome.error
        return outcome.value  # type: ignore[return-value]  # set when there is no error

    def _ask_until(self, ended: threading.Event, on_interrupt: Callable[[], None]) -> None:
        while True:
            # The loop is inside the try: Python can raise Ctrl-C in its condition, too.
            try:
                while not ended.is_set():
                    self._ask_next()
                return
            except KeyboardInterrupt:
                self._interrupt(on_interrupt)

    def _interrupt(self, on_interrupt: Callable[[], None]) -> None:
        if not self.is_interrupted:
            self.is_interrupted = True
            try:
                on_interrupt()
            except KeyboardInterrupt:
                pass
            else:
                return
        raise WasInterruptedError("Interrupted twice.")

    def _ask_next(self) -> None:
        try:
            queued = self._questions.get(timeout=_TICK)
        except queue.Empty:
            return
        if queued is not None and not self.is_interrupted:
            waiting, question = queued
            if waiting.ended.is_set():
                return
            waiting.run(question)
            if isinstance(waiting.error, KeyboardInterrupt):
                waiting.error = None
                raise KeyboardInterrupt
