"""The colours: one theme for dark terminals and its counterpart for light ones."""

from __future__ import annotations

import os

from textual.theme import Theme

DARK = Theme(
    name="moorage-dark",
    primary="#4fb3bf",
    secondary="#7aa2c4",
    accent="#e0a458",
    success="#7fb77e",
    warning="#e0b25a",
    error="#e5746d",
    foreground="#d7dee4",
    background="#10171d",
    surface="#18222a",
    panel="#22303a",
    dark=True,
    variables={"footer-key-foreground": "#e0a458", "block-cursor-text-style": "none"},
)
LIGHT = Theme(
    name="moorage-light",
    primary="#0b6b78",
    secondary="#3c6486",
    accent="#9a5b00",
    success="#2c6e3f",
    warning="#8a6100",
    error="#b3261e",
    foreground="#1c262d",
    background="#f6f8f9",
    surface="#ebeff1",
    panel="#dbe3e7",
    dark=False,
    variables={"footer-key-foreground": "#9a5b00", "block-cursor-text-style": "none"},
)


def usual_theme() -> str:
    """Return the theme that fits the terminal, as far as it tells (COLORFGBG)."""
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in {"7", "15"} else DARK.name
