"""Secrets that programs are likely to truncate, convert or reject."""

from __future__ import annotations

import random

BAD = (
    "Harbour7 #bell", "@harbour-bell-77", "true", "No", "y", "null", "~", "0815", "12345", "1e3",
    "0x1F", "0o17", "1_000", "3.10", "2001-12-14", "12:30:45", ".inf", "[1, 2]", "{a: b}", "a: b",
    "- a", "*bell", "&bell", "!bell", "%bell", "`bell`", "'bell'", '"bell"', "|", ">", "?", "-",
    "=", "<<", "a #", " bell", "bell ", "  ", "\\", "a\\", "a\\n", "$HOME", "${HOME}", "$(id)",
    "100%n", "%h", "a=b", "a;b", "käse", "密码", "🔔 bell", "\ufeffbell", "a\u2028b", "a\u0085b",
    "---", "...", "key: |", "a,b", "a]", "}", "it's", "$$", "\\\\$`\"", "bell\\", "# bell", "a\tb",
    "\x7f",
)  # fmt: skip
CONTROL = ("two\nlines", "cr\r", "\n", "tab\t", "nul\0nul", "\x1b[31m", "\x01")


def odd_secrets(count: int, seed: int = 7, *, control: bool = True) -> list[str]:
    """Return different secrets, known problem cases first.

    Args:
        count: The number of secrets.
        seed: The seed of the random ones.
        control: Whether they can contain control characters.
    """
    chance = random.Random(seed)
    pools = (
        "#@:!&*%|>{}[]`'\"\\$ ,?-=~",
        "0123456789eE+-._xXoO:",
        "äß漢字🔔\u2028\u0085\ufeff",
        "abYyNn ~",
    )
    if control:
        pools = (*pools, "\0\n\r\t\x1b\x7f\x85 a")
    found = dict.fromkeys(BAD)
    found.update(dict.fromkeys(CONTROL if control else ()))
    while len(found) < count:
        letters = (
            "".join(chr(chance.randrange(33, 127)) for _ in range(6)) + chance.choice(pools) * 2
        )
        found["".join(chance.choices(letters, k=chance.randrange(1, 41)))] = None
    every = list(found)[:count]
    return every if control else [each for each in every if min(each) >= " "]
