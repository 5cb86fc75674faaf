"""Log lines with the important part first. No I/O."""

from __future__ import annotations

import re

from moorage.deploy.verify import REPOSITORY
from tui.widgets.log_store import Level, level_of

_LINE = re.compile(r"^(\d+-\d+-\d+ [\d:]+) (?=.*\blevel=)")
_FIELD = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)')
_LONG = re.compile(r"(?<=sha256:[0-9a-f]{12})[0-9a-f]{52}|(?<=\?)_state=.*")
_LEVELS = {
    "panic": Level.ERROR, "fatal": Level.ERROR, "error": Level.ERROR,
    "warning": Level.WARNING, "warn": Level.WARNING,
}  # fmt: skip
_STATUS, _METHOD, _URI = "http.response.status", "http.request.method", "http.request.uri"
_USER, _ADDRESS = "auth.user.name", "http.request.remoteaddr"
_LONGEST_REASON = 40
_REQUEST = re.compile(
    r"^(\d+-\d+-\d+)T([\d:]+)\S*\t([^\t]*)\t(\d{3})\t([A-Z]+)\t([^\t]*)\t([^\t]*)\t"
)
"""A request in nginx's log: time, user, status, method, path, address; see site.conf.j2."""


def reorder(line: str) -> tuple[Level, str]:
    """Return a line's level, and its text with the important part first.

    A request becomes its time, status, method, path, user and address. An error of the registry
    has its reason before the path, which is long. Other lines of the registry become their time,
    level and message. Lines of any other form are unchanged.

    Args:
        line: A line of a log, as :func:`moorage.deploy.logs.without_repetition` returns it.
    """
    if request := _REQUEST.match(line):
        return _request(request)
    found = _LINE.match(line)
    if found is None:
        return level_of(line), line
    pairs = _FIELD.findall(line[found.end() :])
    fields = {key: _unquoted(value) for key, value in pairs}
    level = _level(fields)
    first, used = [found[1]], {"level", "msg", "err.message", _USER}
    message = fields.get("err.message") or fields.get("msg", "")
    if fields.get(_METHOD) and fields.get(_URI):
        path = _LONG.sub("…", fields[_URI])
        # A path that was shortened is repeated in full at the end, to be found and copied.
        used |= {_STATUS, _METHOD, _ADDRESS} | ({_URI} if path == fields[_URI] else set())
        message = message.removeprefix("response completed").strip()
        words = [fields[_METHOD], path, fields.get(_USER, ""), fields.get(_ADDRESS, "")]
        first += [fields.get(_STATUS, ""), *(words if level is not Level.ERROR else ())]
        if level is Level.ERROR:
            message = f"{_reason(fields, message)}: {' '.join(filter(None, words))}"
    if level in {Level.WARNING, Level.ERROR}:
        first.append(f"{fields['level']}:")
    rest = [f"{key}={value}" for key, value in pairs if key not in used]
    return level, " ".join(filter(None, [*first, message, *rest]))


def _request(line: re.Match[str]) -> tuple[Level, str]:
    """Return the level and text of a request. 404 is not an error: pushes begin with some."""
    day, clock, user, status, method, path, address = line.groups()
    level = Level.INFO
    if status in {"403", "413", "429"}:
        level = Level.WARNING
    elif status.startswith("5"):
        level = Level.ERROR
    path = _LONG.sub("…", path)
    return level, f"{day} {clock} {status} {method} {path} {user} {address}"


def _level(fields: dict[str, str]) -> Level:
    """Return the level of a registry line; the registry logs every failed request as an error."""
    level = _LEVELS.get(fields.get("level", ""), Level.INFO)
    if level is not Level.ERROR:
        return level
    status = fields.get(_STATUS, "")
    if status == "404":
        return Level.INFO
    if status.startswith("4"):
        return Level.WARNING
    # Moorage's check discards its large upload, and the registry closes that file twice.
    is_discarded = fields.get(_METHOD) == "DELETE" and fields.get("msg", "").endswith(
        ": file already closed"
    )
    return Level.INFO if is_discarded and fields.get("vars.name") == REPOSITORY else level


def _reason(fields: dict[str, str], message: str) -> str:
    """Return why a request failed: the storage's message, or its end if it is long."""
    detail = fields.get("err.detail", "")
    if not detail or detail.startswith("map["):
        return message
    return detail if len(detail) <= _LONGEST_REASON else detail.rpartition(": ")[2]


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])
