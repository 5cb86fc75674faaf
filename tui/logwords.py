"""Puts what matters of a registry's log line first. Pure."""

from __future__ import annotations

import re

from moorage.deploy.verify import REPOSITORY
from tui.logstore import Level, level_of

_LINE = re.compile(r"^(\d+-\d+-\d+ [\d:]+) (?=.*\blevel=)")
_FIELD = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)')
_LONG = re.compile(r"(?<=sha256:[0-9a-f]{12})[0-9a-f]{52}|(?<=\?)_state=.*")
_LEVELS = {
    "panic": Level.ERROR, "fatal": Level.ERROR, "error": Level.ERROR,
    "warning": Level.WARNING, "warn": Level.WARNING,
}  # fmt: skip
_STATUS, _METHOD, _URI = "http.response.status", "http.request.method", "http.request.uri"
_EXPECTED = {"blob unknown", "manifest unknown", "name unknown"}
"""What verify looks for: that what it has not pushed yet, or has deleted, is not there."""
_HEALTH = "moorage-health"
"""What a run asks a new slot for, on the server itself, to see whether its storage answers."""


def in_order(line: str) -> tuple[Level, str]:
    """Return how much a line matters, and its words in the order in which they do.

    A request is its time, status, method, path, user and error, then everything else; another line
    of the registry is its time, level and message. Whatever is no line of the registry's stays.

    Args:
        line: A line of a log, as :func:`tui.watch.without_repetition` returns it.
    """
    found = _LINE.match(line)
    if found is None:
        return level_of(line), line
    fields = {key: _unquoted(value) for key, value in _FIELD.findall(line[found.end() :])}
    level = _LEVELS.get(fields.get("level", ""), Level.INFO)
    is_expected = level is Level.ERROR and _is_expected(fields)
    first, said = [found[1]], {"level", "msg", "err.message", "auth.user.name"}
    message = fields.get("err.message") or fields.get("msg", "")
    if fields.get(_METHOD) and fields.get(_URI):
        path = _LONG.sub("…", fields[_URI])
        words = (fields.get(_STATUS), fields[_METHOD], path, fields.get("auth.user.name"))
        first += [word for word in words if word]
        # A path that was shortened stands once more with the rest, to be found and copied.
        said |= {_STATUS, _METHOD} | ({_URI} if path == fields[_URI] else set())
        message = message.removeprefix("response completed").strip()
    if is_expected:
        first.append("expected by Moorage's own check:")
    elif level is not Level.INFO:
        first.append(f"{fields['level']}:")
    first += [message] if message else []
    rest = [f"{key}={value}" for key, value in _FIELD.findall(line[found.end() :])
            if key not in said]  # fmt: skip
    return Level.INFO if is_expected else level, " ".join([*first, *rest])


def _is_expected(fields: dict[str, str]) -> bool:
    """Whether an error is what a check of Moorage's provokes, where nobody else has a reason to."""
    name, is_missing = fields.get("vars.name"), fields.get("err.code") in _EXPECTED
    if name == _HEALTH:
        return is_missing and fields.get("http.request.remoteaddr", "").startswith("127.0.0.1:")
    if name != REPOSITORY:
        return False
    # The large upload is thrown away, and the registry closes its file twice.
    is_thrown_away = fields.get(_METHOD) == "DELETE" and fields.get("msg", "").endswith(
        ": file already closed"
    )
    return is_thrown_away or (is_missing and fields.get(_STATUS) == "404")


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])
