"""How strong a typed password is, in a few words shown while it is typed."""

from __future__ import annotations

import math

LIMIT = "At most 72 bytes"


def describe_strength(text: str) -> str:
    """Return a rough judgement of a typed password: its length against its alphabet."""
    if not text:
        return LIMIT
    alphabet = sum(
        size
        for size, holds in (
            (26, any(character.islower() for character in text)),
            (26, any(character.isupper() for character in text)),
            (10, any(character.isdigit() for character in text)),
            (33, any(not character.isalnum() for character in text)),
        )
        if holds
    )
    repeated = len(set(text)) / len(text)
    bits = len(text) * math.log2(max(2, alphabet)) * min(1.0, 0.3 + repeated)
    word = "weak" if bits < 45 else "fair" if bits < 70 else "strong"
    advice = "; longer is better than stranger" if word != "strong" else ""
    return f"{word}, {len(text)} characters{advice}"
