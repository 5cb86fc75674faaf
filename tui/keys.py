"""Keys as terminals send them."""

from __future__ import annotations

from typing import cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

from tui.document.steps import STEPS


def let_alt_numbers_through() -> None:
    """Make Alt+1 to Alt+7 keys of their own.

    Textual takes them for the characters that Option and a digit type on a Mac. A terminal that
    types those sends them as characters, so nothing is lost there.
    """
    sequences = cast("dict[str, object]", ANSI_SEQUENCES_KEYS)
    for step in STEPS:
        sequences.pop(f"\x1b{step.number}", None)
