"""Engine calls in a thread of their own, while the main thread answers questions and Ctrl-C.

Questions are asked in the main thread only: Ctrl-C reaches it and nothing else, so a prompt ends
there cleanly and the terminal shows again what is typed.
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
    """What a call ended with, once it has ended."""

    value: _Result | None = None
    error: BaseException | None = None
    is_there: threading.Event = field(default_factory=threading.Event)

    def take(self, call: Callable[[], _Result]) -> None:
        try:
            self.value = call()
        except BaseException as error:  # raised again where it is waited for
            self.error = error
        self.is_there.set()


class Desk:
    """Where engine threads bring their questions.

    Attributes:
        is_interrupted: Whether Ctrl-C was pressed.
        was_left: Whether it was pressed twice: whatever goes on is left to itself.
    """

    def __init__(self) -> None:
        self.is_interrupted = False
        self.was_left = False
        # None means that the work has ended.
        self._questions: queue.SimpleQueue[tuple[_Outcome[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )

    def ask(self, question: Callable[[], _Result]) -> _Result | None:
        """Have the main thread ask somebody; blocks.

        Args:
            question: Asks and returns the answer.

        Returns:
            The answer, or None once the operator has interrupted.
        """
        if threading.current_thread() is threading.main_thread():
            return question()
        outcome: _Outcome[_Result] = _Outcome()
        self._questions.put((outcome, question))
        while not outcome.is_there.wait(_TICK):
            if self.is_interrupted:
                return None
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def wait_for(
        self, work: Callable[[], _Result], on_interrupt: Callable[[], None] = lambda: None
    ) -> _Result:
        """Do something in a thread and answer its questions until it ends; main thread only.

        Args:
            work: What is done.
            on_interrupt: Called at the first Ctrl-C; should make the work end soon.

        Returns:
            What the work returned.

        Raises:
            WasInterruptedError: Ctrl-C was pressed a second time, and the work left to itself.
        """
        outcome: _Outcome[_Result] = _Outcome()

        def run() -> None:
            outcome.take(work)
            self._questions.put(None)

        threading.Thread(target=run, daemon=True).start()
        while True:
            # The loop is inside: Python may raise Ctrl-C at its condition as well as in its body.
            try:
                while not outcome.is_there.is_set():
                    self._answer_one()
                break
            except KeyboardInterrupt:
                self._interrupt(on_interrupt)
        if outcome.error is not None:
            raise outcome.error
        return outcome.value  # type: ignore[return-value]  # set when there is no error

    def _interrupt(self, on_interrupt: Callable[[], None]) -> None:
        if not self.is_interrupted:
            self.is_interrupted = True
            try:
                on_interrupt()
            except KeyboardInterrupt:
                pass
            else:
                return
        self.was_left = True
        raise WasInterruptedError("Interrupted twice.")

    def _answer_one(self) -> None:
        try:
            asked = self._questions.get(timeout=_TICK)
        except queue.Empty:
            return
        if asked is not None and not self.is_interrupted:
            waiting, question = asked
            waiting.take(question)
            if isinstance(waiting.error, KeyboardInterrupt):
                waiting.error = None
                raise KeyboardInterrupt
