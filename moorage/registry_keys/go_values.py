"""Go's rules for durations, URLs and regular expressions, as far as the registry applies them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
          "h": 3600 * 10**9}  # fmt: skip
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def nanoseconds(text: str) -> int | None:
    """Return a duration such as ``1h30m`` in nanoseconds, or None if Go rejects it.

    See https://pkg.go.dev/time#ParseDuration.
    """
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not re.fullmatch(f"(?:{_PART.pattern})+", rest):
        return None
    total = sum(int(Fraction(number) * _UNITS[unit]) for number, unit in _PART.findall(rest))
    return sign * total if total < 2**63 else None


class Url(NamedTuple):
    """The parts of a URL that the registry looks at."""

    scheme: str
    host: str


def parse_url(text: str) -> Url | None:
    """Return the scheme and host of a URL, or None if Go rejects it.

    See https://pkg.go.dev/net/url#Parse.
    """
    address, _, fragment = text.partition("#")
    if re.search(r"[\x00-\x1f\x7f]", text) or not _is_escaped(fragment) or address[:1] == ":":
        return None
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", address)
    scheme = found[1].lower() if found else ""
    rest = address[found.end() if found else 0 :].partition("?")[0]
    if rest[:2] == "//":
        authority, slash, path = rest[2:].partition("/")
        user, _, host = authority.rpartition("@")
        fits = _is_user(user) and _is_host(host) and _is_escaped(slash + path)
        return Url(scheme, host) if fits else None
    if scheme and rest[:1] != "/":
        return Url(scheme, "")
    has_colon = not scheme and ":" in rest.partition("/")[0]
    return Url(scheme, "") if _is_escaped(rest) and not has_colon else None


def _is_user(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*", text)) and _is_escaped(text)


def _is_host(text: str) -> bool:
    # In a host, only bytes that are not ASCII can be escaped.
    if re.search("%(?![89A-Fa-f][0-9A-Fa-f])", re.sub(r"%25(?=.*\])", "", text)):
        return False
    if text[:1] == "[":
        return bool(re.fullmatch(r"\[[^\]]*\](:[0-9]*)?", text))
    name, colon, port = text.rpartition(":")
    if colon and not re.fullmatch("[0-9]*", port):
        return False
    return not re.search(
        r"[ \"\\^`{}|%\[\]]", re.sub("%[0-9A-Fa-f]{2}", "", name if colon else text)
    )


def _is_escaped(text: str) -> bool:
    return not re.search("%(?![0-9A-Fa-f]{2})", text)


_ESCAPES = set("AbBafnrtvzdDsSwWC")
_CLASS_ESCAPES = set("afnrtvdDsSwW")
_POSIX = {"alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
          "space", "upper", "word", "xdigit"}  # fmt: skip
_FLAGS = r"\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)\)"
_MOST_REPEATS = 1000


def is_regular_expression(text: str, *, has_short_names: bool = True) -> bool:
    """Return whether Go's regexp package compiles an expression.

    See https://pkg.go.dev/regexp/syntax. Names of Unicode classes are not checked.

    Args:
        text: The expression.
        has_short_names: Whether groups can be named ``(?<name>)``, as since Go 1.22.
    """
    try:
        _Expression(text, has_short_names).read()
    except (_NotGo, IndexError):
        return False
    return True


class _NotGo(Exception):  # internal
    """The expression is not valid."""


class _Expression:
    """Reads a regular expression once, from left to right."""

    def __init__(self, text: str, has_short_names: bool) -> None:
        self._rest = text
        self._has_short_names = has_short_names
        self._depth = 0

    def read(self) -> None:
        # Whether something is before this that can be repeated, and whether it was already.
        can_repeat, is_repeated = False, False
        while self._rest:
            if repeat := self._take(r"[*+?]\??|\{[0-9]+(?:,[0-9]*)?\}\??"):
                if not can_repeat or is_repeated:
                    raise _NotGo
                self._check_repeat(repeat)
                is_repeated = True
                continue
            is_repeated = False
            if not self._take(_FLAGS):
                can_repeat = self._one(can_repeat)
        if self._depth:
            raise _NotGo

    def _one(self, can_repeat: bool) -> bool:
        """Read the next part; return whether it can be repeated, given that for the one before."""
        if self._rest[0] == "(":
            self._open()
            self._depth += 1
            return False
        if self._take(r"\|"):
            return False
        if self._take(r"\\Q"):
            quoted, _, self._rest = self._rest.partition("\\E")
            return bool(quoted) or can_repeat
        if self._take(r"\)"):
            self._depth -= 1
            if self._depth < 0:
                raise _NotGo
        elif self._take(r"\["):
            self._class()
        elif self._take(r"\\"):
            self._escape(_ESCAPES)
        else:
            self._rest = self._rest[1:]
        return True

    def _take(self, pattern: str) -> str:
        found = re.match(pattern, self._rest)
        if found is None:
            return ""
        self._rest = self._rest[found.end() :]
        return found[0]

    def _check_repeat(self, repeat: str) -> None:
        counts = [int(each) for each in re.findall("[0-9]+", repeat)]
        if any(count > _MOST_REPEATS for count in counts) or counts != sorted(counts):
            raise _NotGo

    def _open(self) -> None:
        """Read the start of a group."""
        named = r"\(\?P?<([A-Za-z0-9_]+)>" if self._has_short_names else r"\(\?P<([A-Za-z0-9_]+)>"
        if not self._take(named) and not self._take(r"\(\?([imsU]*(-[imsU]+)?):"):
            if self._rest[:2] == "(?":
                raise _NotGo
            self._take(r"\(")

    def _escape(self, letters: set[str]) -> None:
        """Read what follows a backslash."""
        if self._take(r"p\{\^?\w+\}|P\{\^?\w+\}|[pP][A-Z]"):
            return
        if self._take(r"x\{[0-9A-Fa-f]{1,6}\}|x[0-9A-Fa-f]{2}|0[0-7]{0,2}|[1-7][0-7]{1,2}"):
            return
        character = self._rest[0]
        if character.isascii() and character.isalnum() and character not in letters:
            raise _NotGo
        if not character.isascii():
            raise _NotGo
        self._rest = self._rest[1:]

    def _class(self) -> None:
        """Read a class, after its opening bracket."""
        self._take(r"\^")
        is_first = True
        while is_first or self._rest[0] != "]":
            if name := self._take(r"\[:\^?(\w*):\]"):
                if name.strip("[]:^") not in _POSIX:
                    raise _NotGo
                is_first = False
                continue
            if self._rest[0] == "-" and not is_first and self._rest[1] != "]":
                raise _NotGo
            is_first = False
            low = self._character()
            if self._rest[0] == "-" and self._rest[1] != "]":
                self._rest = self._rest[1:]
                high = self._character()
                if len(low) != 1 or len(high) != 1 or low > high:
                    raise _NotGo
        self._rest = self._rest[1:]

    def _character(self) -> str:
        """Read one character of a class; return it, or more than one if it stands for several."""
        if not self._take(r"\\"):
            character, self._rest = self._rest[0], self._rest[1:]
            return character
        before = self._rest
        self._escape(_CLASS_ESCAPES)
        text = before[: len(before) - len(self._rest)]
        if text[:1] in set("dDsSwWpP"):
            return text + " "
        if text[:1] == "x":
            return chr(min(int(text[1:].strip("{}"), 16), 0x10FFFF))
        if text[:1].isdigit():
            return chr(int(text, 8))
        return {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(text, text)
