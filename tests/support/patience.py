"""How slow this machine is right now, for what is promised in seconds."""

from __future__ import annotations

import time

_USUAL = 0.06
"""Seconds the work below takes where nobody else computes."""


def slowness() -> float:
    """Say how many times as long as usual this machine takes now; 1 at the least."""
    begun = time.monotonic()
    sum(range(6_000_000))
    return max(1.0, (time.monotonic() - begun) / _USUAL)
