"""The age of what is shown, which is said in one form everywhere. Does not import Textual."""

from __future__ import annotations

import time

from moorage.units import age_text

TICK = 5.0
"""Seconds after which an age that is shown is shown again."""


def as_of(moment: float) -> str:
    """Return when something was read: ``as of now``, ``as of 20 s ago``, ``as of 2 min ago``.

    Args:
        moment: Seconds since 1970.
    """
    now = time.time()
    seconds = max(0, int(now - moment))
    if seconds < 60:
        return f"as of {seconds // 10 * 10} s ago" if seconds >= 10 else "as of now"
    return f"as of {age_text(moment, now)}"
