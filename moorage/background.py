"""Work that goes on beside something slower."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Background(Generic[_Result]):
    """Begins work in a thread that nobody has to wait for.

    Args:
        work: What to do.
    """

    def __init__(self, work: Callable[[], _Result]) -> None:
        self._work = work
        self._result: _Result | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, seconds: float) -> _Result | None:
        """Return what came of it, or None when it failed or takes longer than this."""
        self._thread.join(seconds)
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except Exception:  # whoever waits for it goes on without it
            return
