"""Rules that name the repositories of a user, such as ``team-a/app`` and ``team-a/*``."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_NAMES = 4


def repositories_note(*users: Sequence[str]) -> str:
    """Return a note on rules that look like a folder and are one repository; empty without any.

    Args:
        users: The rules of each user.
    """
    found = (
        rule for rules in users for rule in rules if "/" not in rule and f"{rule}/*" not in rules
    )
    single = list(dict.fromkeys(found))
    if not single:
        return ""
    first = single[0]
    if len(single) == 1:
        return f"{first} is one repository; {first}/* is everything below it"
    names = ", ".join(single[:_MOST_NAMES]) + (", …" if len(single) > _MOST_NAMES else "")
    return f"{names} are one repository each; {first}/* is everything below {first}"
