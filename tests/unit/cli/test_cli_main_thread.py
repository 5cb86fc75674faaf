"""Ctrl-C while something is waited for."""

from __future__ import annotations

import threading

import pytest

from moorage.cli import main_thread


class _PressedOnce(threading.Event):
    """Stands for Ctrl-C that arrives between two looks at the question queue."""

    was_pressed = False

    def is_set(self) -> bool:
        if not self.was_pressed:
            self.was_pressed = True
            raise KeyboardInterrupt
        return super().is_set()


def test_ctrl_c_between_two_polls_stops_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    real = main_thread._Outcome
    told = threading.Event()

    def outcome() -> object:
        made: main_thread._Outcome[bool] = real()
        made.ended = _PressedOnce()
        return made

    monkeypatch.setattr(main_thread, "_Outcome", outcome)
    waiting = main_thread.MainThread()

    assert waiting.wait_for(lambda: told.wait(10), told.set) is True
    assert waiting.is_interrupted


def test_a_command_continues_as_soon_as_the_work_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(main_thread, "_TICK", threading.TIMEOUT_MAX)
    waiting = main_thread.MainThread()

    assert waiting.wait_for(lambda: waiting.ask(lambda: "an answer")) == "an answer"


def test_a_question_that_no_command_waits_for_is_declined() -> None:
    waiting = main_thread.MainThread()
    answers: list[object] = []
    late = threading.Thread(target=lambda: answers.append(waiting.ask(lambda: "yes")), daemon=True)

    # A server outside the limit asks after the command has failed on one inside.
    waiting.wait_for(lambda: None)
    late.start()
    late.join(20)

    assert answers == [None]
    waiting.wait_for(lambda: waiting.ask(lambda: answers.append("another")))
    assert answers == [None, "another"]
