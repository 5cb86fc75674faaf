"""Escape control characters in text from servers before it is displayed."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return text with control characters and direction overrides escaped as ``\\x1b``."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def inert_json(text: str) -> str:
    r"""Return equivalent JSON with these characters escaped as ``\\u001b``."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
