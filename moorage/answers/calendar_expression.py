"""Calendar expressions of systemd (OnCalendar), as far as they can be checked without systemd.

The server has the last word: a run asks its `systemd-analyze calendar` before it switches.
The grammar is that of systemd.time(7).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date

EXAMPLES = "Sun 03:00, daily or *-*-01 04:30"
_LONGEST = 128
_LAST_YEAR = 2199
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORTHANDS = {
    "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "semi-annually",
    "biannually", "bi-annually", "yearly", "annually",
}  # fmt: skip
_ZONE = re.compile(r"UTC|GMT|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+){1,2}")
_DATE = re.compile(r"(?:(?P<year>[^-~]+)-)?(?P<month>[^-~]+)[-~](?P<day>[^-~]+)")
_TIME = re.compile(r"(?P<hour>[^:]+):(?P<minute>[^:]+)(?::(?P<second>[^:]+))?")
_PART = re.compile(
    r"(?:\*|(?P<first>[0-9]{1,4})(?:\.\.(?P<last>[0-9]{1,4}))?)(?:/(?P<step>[0-9]{1,4}))?"
)


def check_calendar(text: str) -> str:
    """Return what is wrong with a calendar expression; empty if nothing is.

    Args:
        text: The expression.
    """
    if not re.fullmatch(r"[A-Za-z0-9 ,.:*/~+_-]+", text) or len(text) > _LONGEST:
        return f"must be a calendar expression such as {EXAMPLES}"
    words = text.split(" ")
    if "" in words:
        return "must have single spaces between its parts"
    if len(words) > 1 and _ZONE.fullmatch(words[-1]):
        words.pop()
    if len(words) == 1 and words[0].lower() in _SHORTHANDS:
        return ""
    checks: list[Callable[[str], str | None]] = [_weekdays, _date, _time]
    for word in words:
        while checks:
            fault = checks.pop(0)(word)
            if fault is not None:
                break
        else:
            fault = f"'{word}' is not a weekday, a date or a time, or is not in its place"
        if fault:
            return f"must be a calendar expression such as {EXAMPLES}: {fault}"
    return ""


def never_comes(text: str, today: date) -> bool:
    """Return whether a valid expression has no day from today on, such as 2020-01-01.

    Args:
        text: The expression.
        today: The date.
    """
    words = text.split(" ")
    dates = [found for word in words if (found := _DATE.fullmatch(word)) is not None]
    if not dates:
        return False
    [found] = dates
    weekdays = _weekday_numbers(words[0]) if words[0][0].isalpha() else range(7)
    from_end = "~" in found[0]
    for year in range(today.year, _LAST_YEAR + 1):
        if not _matches(found["year"] or "*", year, 1970):
            continue
        for month in range(1, 13):
            if not _matches(found["month"], month, 1):
                continue
            days = calendar.monthrange(year, month)[1]
            for day in range(1, days + 1):
                number = days - day + 1 if from_end else day
                on = date(year, month, day)
                if on >= today and on.weekday() in weekdays and _matches(found["day"], number, 1):
                    return False
    return True


def _weekday_numbers(word: str) -> set[int]:
    found: set[int] = set()
    for part in word.split(","):
        days = [_DAYS.index(day[:3].lower()) for day in part.split("..")]
        found |= {(days[0] + each) % 7 for each in range((days[-1] - days[0]) % 7 + 1)}
    return found


def _matches(text: str, number: int, least: int) -> bool:
    """Return whether a number is among those of a part, such as 1..7,15 or */2."""
    for part in text.split(","):
        found = _PART.fullmatch(part)
        assert found is not None
        first = int(found["first"] or least)
        repeats = found["first"] is None or (found["step"] is not None and found["last"] is None)
        last = number if repeats else int(found["last"] or first)
        if first <= number <= last and (number - first) % int(found["step"] or 1) == 0:
            return True
    return False


def _weekdays(word: str) -> str | None:
    """Return what is wrong with weekdays; None if the word is something else."""
    if not word[0].isalpha():
        return None
    for part in word.split(","):
        for day in part.split(".."):
            if day.lower() not in _DAYS + _LONG_DAYS:
                return f"'{day}' is not a weekday such as Mon or Monday"
    return ""


def _date(word: str) -> str | None:
    found = _DATE.fullmatch(word)
    if found is None:
        return None
    return (
        _parts(found["year"] or "*", 1970, _LAST_YEAR, "year")
        or _parts(found["month"], 1, 12, "month")
        or _parts(found["day"], 1, 31, "day")
    )


def _time(word: str) -> str | None:
    found = _TIME.fullmatch(word)
    if found is None:
        return None
    return (
        _parts(found["hour"], 0, 23, "hour")
        or _parts(found["minute"], 0, 59, "minute")
        or _parts(found["second"] or "0", 0, 59, "second")
    )


def _parts(text: str, least: int, most: int, what: str) -> str:
    for part in text.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            return f"'{part}' is not a valid {what}"
        numbers = [int(found[name]) for name in ("first", "last") if found[name] is not None]
        if any(not least <= number <= most for number in numbers) or numbers != sorted(numbers):
            return f"'{part}' is not a valid {what} ({least} to {most})"
        if found["step"] is not None and int(found["step"]) == 0:
            return f"'{part}' has a step of 0"
    return ""
