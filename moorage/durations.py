"""Durations as people write them: a number and a unit, such as 90m, 12h or 30d."""

from __future__ import annotations

import re

PATTERN = r"0|(0|[1-9][0-9]{0,5})[smhd]"
FORM = "a number and s, m, h or d, such as 90m, 12h or 30d"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 24 * 3600.0}


def seconds(text: str) -> float:
    """Return a duration in seconds.

    Args:
        text: The duration.

    Raises:
        ValueError: It is not a duration.
    """
    if not re.fullmatch(PATTERN, text, re.ASCII):
        raise ValueError(f"invalid duration {text!r}: use {FORM}")
    return 0.0 if text == "0" else int(text[:-1]) * _UNITS[text[-1]]
