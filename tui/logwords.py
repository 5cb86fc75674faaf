"""Puts what matters of a registry's log line first. Pure."""

from __future__ import annotations

import re

from moorage.deploy.verify import REPOSITORY
from tui.logstore import Level, level_of

_LINE = re.compile(r"^(\d+-\d+-\d+ [\d:]+) (?=.*\blevel=)")
_FIELD = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)')
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
_LEVELS = {
    "panic": Level.ERROR, "fatal": Level.ERROR, "error": Level.ERROR,
    "warning": Level.WARNING, "warn": Level.WARNING,
}  # fmt: skip
_REQUEST = ("http.response.status", "http.request.method", "http.request.uri")
_EXPECTED = {"blob unknown", "manifest unknown", "name unknown"}
"""What verify looks for: that what it has not pushed yet, or has deleted, is not there."""


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
    first = [found[1]]
    said = {"level", "msg"}
    if all(fields.get(key) for key in _REQUEST):
        path = _DIGEST.sub(r"\1…", fields["http.request.uri"])
        first += [fields["http.response.status"], fields["http.request.method"], path]
        # A path that was shortened stands once more with the rest, to be found and copied.
        said |= set(_REQUEST if path == fields["http.request.uri"] else _REQUEST[:2])
        first += [fields[key] for key in ("auth.user.name",) if fields.get(key)]
        said.add("auth.user.name")
    if is_expected:
        first.append("expected by Moorage's own check:")
    elif level is not Level.INFO:
        first.append(f"{fields['level']}:")
    first.append(fields.get("err.message") or fields.get("msg", ""))
    if fields.get("err.message"):
        said.add("err.message")
    rest = [f"{key}={value}" for key, value in _FIELD.findall(line[found.end() :])
            if key not in said]  # fmt: skip
    return Level.INFO if is_expected else level, " ".join([*first, *rest])


def _is_expected(fields: dict[str, str]) -> bool:
    """Whether an error is what verify provokes, in the repository that only verify uses."""
    return (
        fields.get("vars.name") == REPOSITORY
        and fields.get("http.response.status") == "404"
        and fields.get("err.code") in _EXPECTED
    )


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])
