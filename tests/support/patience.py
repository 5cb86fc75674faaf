"""How slow this machine is right now, for what is promised in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

_USUAL = 0.02
"""Seconds that the work below takes where nothing else computes."""
_SAMPLES = 5
_GRACE = 5
"""Seconds that starting a few programs may take on any machine."""


def slowness() -> float:
    """Return how many times as long as usual this machine takes now; at least 1.

    The slowest of a few samples counts: a process that gets its turn in short slices is sometimes
    lucky.
    """
    return max(1.0, *(_sample() for _ in range(_SAMPLES)))


def _sample() -> float:
    began = time.monotonic()
    sum(range(2_000_000))
    return (time.monotonic() - began) / _USUAL


def within(seconds: float, condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds that is promised within some seconds.

    Where the machine proves to be slow meanwhile, the promise is worth that much longer.

    Args:
        seconds: The promise, on a machine that does nothing else.
        condition: What is to hold in the end.
        what: Names it for the failure.
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
