"""The engine's questions, shown one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.questions.asker import Answer, Question

    Show = Callable[[Question, Callable[[Answer], None]], None]


class QuestionQueue:
    """Shows the questions of several threads one at a time, in order.

    Args:
        show: Shows one question and calls back with the answer.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._waiting: deque[Question] = deque()
        self._shown: Question | None = None

    def add(self, question: Question) -> None:
        """Show a question once the earlier ones have been answered."""
        self._waiting.append(question)
        self._show_next()

    def _show_next(self) -> None:
        while self._waiting and self._shown is None:
            question = self._waiting.popleft()
            if question.is_settled:
                continue  # its thread has given up
            self._shown = question

            def answered(answer: Answer, question: Question = question) -> None:
                self._shown = None
                question.settle(answer)
                self._show_next()

            self._show(question, answered)
