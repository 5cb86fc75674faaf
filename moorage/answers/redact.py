"""The last line of defence: mask revealed secrets in text for logs and screens."""

from __future__ import annotations

import base64
import json
import re
import shlex
import threading
import urllib.parse
from collections.abc import Iterator

from moorage.answers.secrets import MASK, Secret

_SHORT = 4
_SHORTEST_LINE = 8
_SHORTEST_BASE64 = 6
_WORD = re.compile("[a-z]+")
_WORD_BEGINS = r"(?:(?<![A-Za-z])|(?<=\\[a-z])|(?<=%[0-9A-Fa-f]{2}))"
"""Where a word begins: after anything but a letter, and after an escaped character."""


class Redactor:
    """Masks known secrets. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plain: set[str] = set()
        self._short: set[str] = set()
        self._words: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._is_stale = False

    def add(self, *secrets: Secret | str) -> None:
        """Mask these secrets from now on, in every form they are likely to be written in."""
        with self._lock:
            before = self._count
            for secret in secrets:
                value = secret.reveal() if isinstance(secret, Secret) else secret
                if value and len(value) < _SHORT:
                    self._short.add(value)
                forms = {form for form in _forms(value) if len(form) >= _SHORT}
                if _WORD.fullmatch(value):
                    self._words |= forms & {value}
                    forms.discard(value)
                self._plain |= forms
            self._is_stale = self._is_stale or self._count != before

    @property
    def _count(self) -> int:
        return len(self._plain) + len(self._short) + len(self._words)

    def redact(self, text: str) -> str:
        """Return the text with each known secret replaced by the mask."""
        if self._is_stale:
            self._compile()
        pattern = self._pattern
        return text if pattern is None else pattern.sub(MASK, text)

    def _compile(self) -> None:
        with self._lock:
            # Longest first, so that a secret that begins with another one is masked completely.
            forms = sorted(self._plain, key=lambda form: (-len(form), form))
            parts = [_trie(forms)] if forms else []
            if self._words:
                # Masking "test" in "testing" would reveal it, too.
                words = sorted(self._words, key=lambda word: (-len(word), word))
                parts.append(rf"{_WORD_BEGINS}{_trie(words)}(?![A-Za-z])")
            for short in sorted(self._short, key=lambda form: (-len(form), form)):
                # Masking every "ab" would garble the text and reveal the secret, so mask it only
                # where it is a whole value.
                parts.append(rf"(?:(?<=[=:'\"])|(?<=[=:] )){re.escape(short)}(?![\w-])")
            self._pattern = re.compile("|".join(parts)) if parts else None
            self._is_stale = False


def _forms(value: str) -> Iterator[str]:
    """Yield the forms of a secret: as it is, quoted, escaped and encoded."""
    yield from _quoted(value)
    yield from _in_base64(value)
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        for line in lines:
            if len(line) > _SHORTEST_LINE:
                yield from _quoted(line)


def _quoted(value: str) -> Iterator[str]:
    if len(value) < _SHORT:
        return
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield re.sub(r"\\u00(..)|\\u(....)", _as_in_yaml, json.dumps(value)[1:-1])
    yield repr(value)[1:-1]
    yield repr(value.encode(errors="surrogatepass"))[2:-1]
    yield value.replace("'", "''")  # YAML, SQL
    yield shlex.quote(value)
    yield value.replace("'", r"'\''")  # how people and other tools quote in shell
    yield re.sub(r'(["\\`$])', r"\\\1", value)  # shell and systemd, in double quotes
    yield value.replace("\\", "\\\\")
    for safe in ("", "/"):
        quoted = urllib.parse.quote(value, safe=safe, errors="replace")
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda code: code.group().lower(), quoted)
    yield urllib.parse.quote_plus(value, errors="replace")


def _as_in_yaml(escape: re.Match[str]) -> str:
    short, long = escape.groups()
    return f"\\x{short.upper()}" if short else f"\\u{long.upper()}"


def _in_base64(value: str) -> Iterator[str]:
    """Yield a secret's base64 forms at any offset in a longer text, such as ``user:secret``.

    Three bytes become four characters, so there are three alignments. Characters at either end
    that depend on the neighbours are left out.
    """
    content = value.encode(errors="surrogatepass")
    if len(content) < _SHORT:
        return
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + content).decode().rstrip("=")
        start = -(-shift * 8 // 6)
        end = (shift + len(content)) * 8 // 6
        core = encoded[start:end]
        if len(core) >= _SHORTEST_BASE64:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _trie(forms: list[str]) -> str:
    """Return a pattern for any of the forms, grouped by their first two characters.

    Python's engine tries alternatives one by one, so a flat list of a few hundred would be slow.
    """
    groups: dict[str, list[str]] = {}
    for form in forms:
        groups.setdefault(form[:2], []).append(form[2:])
    parts = []
    for start, rests in sorted(groups.items()):
        longest_first = "|".join(re.escape(rest) for rest in rests)
        parts.append(f"{re.escape(start)}(?:{longest_first})")
    return f"(?:{'|'.join(parts)})"
