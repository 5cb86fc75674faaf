"""Ctrl-C while something is waited for."""

from __future__ import annotations

import threading

import pytest

from moorage.cli import foreground


class _PressedOnce(threading.Event):
    """Stands for Ctrl-C that arrives between two looks at the question queue."""

    was_pressed = False

    def is_set(self) -> bool:
        if not self.was_pressed:
            self.was_pressed = True
            raise KeyboardInterrupt
        return super().is_set()


def test_ctrl_c_between_two_looks_stops_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    real = foreground._Outcome
    told = threading.Event()

    def outcome() -> object:
        made: foreground._Outcome[bool] = real()
        made.is_there = _PressedOnce()
        return made

    monkeypatch.setattr(foreground, "_Outcome", outcome)
    waiting = foreground.Desk()

    assert waiting.wait_for(lambda: told.wait(10), told.set) is True
    assert waiting.is_interrupted


def test_a_command_continues_as_soon_as_the_work_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foreground, "_TICK", threading.TIMEOUT_MAX)
    waiting = foreground.Desk()

    assert waiting.wait_for(lambda: waiting.ask(lambda: "an answer")) == "an answer"
