"""Run a function in a background thread while something slower is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Background(Generic[_Result]):
    """Starts a function in a daemon thread.

    Args:
        work: The function.
    """

    def __init__(self, work: Callable[[], _Result]) -> None:
        self._work = work
        self._result: _Result | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, seconds: float) -> _Result | None:
        """Return the result, or None if the function failed or is still running after this time."""
        self._thread.join(seconds)
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except Exception:  # result() then returns None
            return
