"""Sizes, numbers and times as text."""

from __future__ import annotations

import time

_PREFIXES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DAY = 24 * 3600


def size_text(size: float) -> str:
    """Return a size with at most four figures, such as 12.3 GiB.

    Args:
        size: Bytes.
    """
    value, place = float(size), 0
    # 1023.95 would be shown as 1024.
    while value >= 1023.5 and place < len(_PREFIXES) - 1:
        value, place = value / 1024, place + 1
    digits = 1 if place and value < 99.95 else 0
    return f"{value:.{digits}f} {_PREFIXES[place]}"


def exact_size(size: int) -> str:
    """Return a size in two forms, such as 1.2 GiB (1,288,490,188 bytes).

    Args:
        size: Bytes.
    """
    if size < 1024:
        return count_text(size, "byte")
    return f"{size_text(size)} ({size:,} bytes)"


def count_text(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, such as 3 tags.

    Args:
        number: The number.
        one: The noun for one.
        many: The noun for more; empty for one with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def duration_text(seconds: float) -> str:
    """Return a duration in its largest whole unit, such as 7 days or 90 minutes.

    Args:
        seconds: The duration.
    """
    units = ((_DAY, "day"), (3600, "hour"), (60, "minute"))
    fitting = (each for each in units if seconds >= each[0] and seconds % each[0] == 0)
    unit, name = next(fitting, (1, "second"))
    return count_text(int(seconds // unit), name)


def age_text(moment: float | None, now: float) -> str:
    """Return how long ago a time was, such as 3 h ago or just now; its date after 100 days.

    Args:
        moment: Seconds since 1970; None if unknown, which is shown as a dash.
        now: The time, likewise.
    """
    if moment is None:
        return "-"
    seconds = max(0, int(now - moment))
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < _DAY:
        return f"{seconds // 3600} h ago"
    days = seconds // _DAY
    if days < 100:
        return f"{days} day{'s' if days != 1 else ''} ago"
    return date_text(moment)


def date_text(moment: float) -> str:
    """Return the date of a time on this machine, such as 2026-11-28.

    Args:
        moment: Seconds since 1970. Files can have absurd times.
    """
    try:
        return time.strftime("%Y-%m-%d", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return "-"
