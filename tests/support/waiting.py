"""Wait for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until a condition holds.

    Args:
        condition: The condition.
        seconds: The time limit.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out waiting for a condition"
        time.sleep(0.1)
