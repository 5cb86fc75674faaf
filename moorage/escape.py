"""Escape control characters in text from servers before it is displayed."""

from __future__ import annotations

import re

# The last range are the bytes of names that are not UTF-8, which no terminal takes.
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_IN_A_LINE = re.compile(rf"[\t\n{_CONTROLS}]")


def printable(text: str) -> str:
    r"""Return text with control characters and direction overrides escaped as ``\\x1b``."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    r"""Return text with tabs and line breaks escaped as well, such as a file's name."""
    return _IN_A_LINE.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def inert_json(text: str) -> str:
    r"""Return equivalent JSON with these characters escaped as ``\\u001b``."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
