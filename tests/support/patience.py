"""The current speed of this machine, for tests with time limits."""

from __future__ import annotations

import time
from collections.abc import Callable

_USUAL = 0.02
"""Seconds that the work below takes on an idle machine."""
_SAMPLES = 5
_GRACE = 5
"""Seconds that starting a few programs can take on any machine."""


def slowness() -> float:
    """Return how many times slower than usual this machine is now; at least 1.

    Uses the slowest of a few samples: with short time slices, some samples are too fast.
    """
    return max(1.0, *(_sample() for _ in range(_SAMPLES)))


def _sample() -> float:
    began = time.monotonic()
    sum(range(2_000_000))
    return (time.monotonic() - began) / _USUAL


def within(seconds: float, condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds that must hold within a time limit.

    The limit is extended if the machine turns out to be slow.

    Args:
        seconds: The limit on an idle machine.
        condition: The condition.
        what: Its name in a failure.
    """
    began, slowest, samples = time.monotonic(), 1.0, 0
    while not condition():
        took = time.monotonic() - began
        if took >= samples:  # once a second
            slowest = max(slowest, _sample())
            samples += 1
        limit = seconds * slowest + _GRACE
        assert took < limit, f"{what}: not as expected within {limit:.0f} s"
        time.sleep(0.1)
