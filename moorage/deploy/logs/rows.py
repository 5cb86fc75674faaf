"""Rows of the logs: what a line says, its level, and a filter. No I/O.

Every line comes from a server, and clients choose much of what is in it: paths, user names, the
User-Agent. Values are read only as nginx and the registry quote them, the first value of a field
counts, and a line of any other form is shown as it is.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from sys import intern
from urllib.parse import unquote

from moorage.errors import MoorageError

CHECK_REPOSITORY = "moorage-verify"
"""The repository for Moorage's own checks, and the user name of the check with a wrong password.
The API cannot remove a repository's name from the catalog, so it is always the same."""
CHECK_AGENT = "moorage-check"
"""The User-Agent of Moorage's own checks, here and in run/nginx.sh."""
_HEALTH_REPOSITORY = "moorage-health"
"""The repository that run/slots.sh asks a starting registry for. It does not exist."""
_AGENTS = (CHECK_AGENT, "moorage-failover")
LONGEST_LINE = 16 * 1024
"""Bytes of a line that are read; the rest is left out."""


class Level(IntEnum):
    """The level of a log line."""

    ROUTINE = 0
    INFO = 1
    STEP = 2
    WARNING = 3
    ERROR = 4


LEVELS: tuple[tuple[Level, str], ...] = (
    (Level.ROUTINE, "all lines"),
    (Level.INFO, "without routine requests"),
    (Level.WARNING, "warnings and errors"),
    (Level.ERROR, "errors"),
)
"""The minimum levels to show, and their names."""

_ERROR = re.compile(r"^(?:E:|err:|✗)|\b(?:error|fatal|failed|cannot|panic)\b", re.IGNORECASE)
_WARNING = re.compile(r"^(?:W:|N:|!)|\bwarn(?:ing)?\b", re.IGNORECASE)


_PACKAGES = re.compile(
    r"^(?:Get:|Hit:|Ign:|Fetched |Reading |Building |Selecting |Preparing |Unpacking |Setting up "
    r"|Processing |Need to get |After this |The following |Suggested |Recommended |Adding "
    r"|Not creating |Created symlink |debconf: |\(Reading |\d+ upgraded|  )"
)
"""What apt and dpkg print while all is well."""


def run_level_of(text: str, step: str) -> Level:
    """Return the level of a line of a run's log.

    Args:
        text: The line.
        step: The step of the run that printed it.
    """
    level = level_of(text)
    is_routine = level is Level.INFO and step == "packages" and _PACKAGES.match(text)
    return Level.ROUTINE if is_routine else level


def level_of(text: str) -> Level:
    """Return the level of a line without a level of its own, judged by its words."""
    if _ERROR.search(text):
        return Level.ERROR
    return Level.WARNING if _WARNING.search(text) else Level.INFO


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of a server's log.

    Attributes:
        server: The server's label.
        at: Its time in ISO 8601, as the server wrote it; empty if the line has none.
        level: Its level.
        program: What wrote it: ``requests`` (nginx's access log), ``nginx``, the registry's
            program, or ``systemd``; empty if unknown.
        message: The text; for a request, why it failed, if the log says so.
        method: The request's method; empty unless the line is about one.
        path: Its path and query.
        status: The status of its response; 0 if unknown.
        user: The user name it was sent with, right or wrong; empty if none.
        address: The client's address.
        repository: The repository it is about; can be empty.
        is_check: Whether it is one of Moorage's own checks.
        details: Other fields of the line, as ``NAME=VALUE``.
    """

    server: str
    at: str = ""
    level: Level = Level.INFO
    program: str = ""
    message: str = ""
    method: str = ""
    path: str = ""
    status: int = 0
    user: str = ""
    address: str = ""
    repository: str = ""
    is_check: bool = False
    details: str = ""

    @property
    def text(self) -> str:
        """The line as both interfaces show it: a request in columns, the long path last."""
        if not self.method:
            return _one_line(self._clock, self.message, self.details)
        return _one_line(self._columns(self._short_path), *self._in_full(), self.details)

    def fitted(self, width: int) -> str:
        """Return the line so that a request's path fits a width, as far as possible.

        The repository in it is shortened in the middle; what comes after it is what tells requests
        apart.

        Args:
            width: The number of characters.
        """
        path = self._short_path.removeprefix("/v2/")
        is_long = len(_one_line(self._columns(self._short_path))) > width
        if not self.method or not is_long or not path.startswith(f"{self.repository}/"):
            return self.text
        surplus = len(_one_line(self._columns(path))) - width
        if surplus > 0:
            room = len(self.repository) - surplus
            # Every check is about the same repository.
            name = "…" if self.is_check and room < _SHORTEST else _shortened(self.repository, room)
            path = name + path.removeprefix(self.repository)
        return _one_line(self._columns(path), *self._in_full(), self.details)

    def _columns(self, path: str) -> str:
        status = str(self.status) if self.status else "-"
        columns = (
            self._clock,
            f"{status:<3}",
            f"{_quoted(self.method):<6}",
            f"{_shortened(_quoted(self.user), _USER_WIDTH) or '-':<{_USER_WIDTH}}",
            f"{_shortened(_quoted(self.address), _ADDRESS_WIDTH) or '-':<{_ADDRESS_WIDTH}}",
            "[check]" if self.is_check else "",
            # What makes a request fail is more important than its path, which is long.
            f"{self.message}: {path}" if self.message else path,
        )
        return " ".join(filter(None, columns))

    def _in_full(self) -> Iterator[str]:
        """Yield what the columns shorten, to be found and copied."""
        if len(user := _quoted(self.user)) > _USER_WIDTH:
            yield f"user={user}"
        if len(address := _quoted(self.address)) > _ADDRESS_WIDTH:
            yield f"address={address}"
        if _DIGEST.search(self.path):
            yield f"path={self.path}"

    @property
    def _short_path(self) -> str:
        return _STATE.sub("…", _DIGEST.sub("…", self.path))

    @property
    def _clock(self) -> str:
        """The time as in syslog: ``Nov 25 15:37:41``."""
        if not self.at:
            return ""
        month = _MONTHS[int(self.at[5:7]) % len(_MONTHS)]
        return f"{month} {self.at[8:10]} {self.at[11:19]}"

    @property
    def instant(self) -> float:
        """The time in seconds since 1970, for sorting; 0 if the line has none."""
        try:
            time = datetime.datetime.fromisoformat(self.at)
            return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp()
        except (ValueError, OverflowError):
            return 0.0

    def as_json(self) -> dict[str, object]:
        """Return the row as JSON values."""
        return {
            "server": self.server,
            "at": self.at,
            "level": self.level.name.lower(),
            "program": self.program,
            "message": self.message,
            "method": self.method,
            "path": self.path,
            "status": self.status or None,
            "user": self.user,
            "address": self.address,
            "repository": self.repository,
            "is_check": self.is_check,
            "details": self.details,
        }


_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DIGEST = re.compile(r"(?<=sha256:[0-9a-f]{12})[0-9a-f]{52}")
_IS_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]+")
_STATE = re.compile(r"(?<=\?)_state=.*")


@dataclass(frozen=True)
class LogFilter:
    """A filter: the rows to show.

    Attributes:
        level: The minimum level.
        user: Only requests of this user.
        repository: Only requests to this repository, or to those below it.
        statuses: Only requests with these statuses: ``404``, ``4xx``.
        with_checks: Whether to show Moorage's own checks.
    """

    level: Level = Level.ROUTINE
    user: str = ""
    repository: str = ""
    statuses: tuple[str, ...] = ()
    with_checks: bool = True

    def shows(self, row: LogRow) -> bool:
        """Return whether a row is shown."""
        below = f"{self.repository.rstrip('/')}/"
        return (
            row.level >= self.level
            and (self.with_checks or not row.is_check)
            and (not self.user or row.user == self.user)
            and (not self.repository or f"{row.repository}/".startswith(below))
            and (not self.statuses or any(_has(row.status, each) for each in self.statuses))
        )

    @property
    def summary(self) -> str:
        """The filter in words, without the level; empty if it shows everything."""
        parts = (
            self.user and f"user {self.user}",
            self.repository,
            self.statuses and f"status {', '.join(self.statuses)}",
            "" if self.with_checks else "without checks",
        )
        return " · ".join(str(each) for each in parts if each)


def parse_statuses(text: str) -> tuple[str, ...]:
    """Return the statuses in a text such as ``404, 5xx``.

    Raises:
        MoorageError: One is not a status.
    """
    found = tuple(text.lower().replace(",", " ").split())
    for each in found:
        if not re.fullmatch(r"[1-5](?:xx|[0-9]{2})", each):
            raise MoorageError(
                f"Invalid status {each!r}. Expected a number such as 404, or 4xx or 5xx.",
                code="invalid_status",
            )
    return found


def _has(status: int, pattern: str) -> bool:
    return status // 100 == int(pattern[0]) if pattern.endswith("xx") else status == int(pattern)


def row_of(server: str, line: str) -> LogRow | None:
    """Return the row of a line, or None if another line says the same.

    Args:
        server: The server's label.
        line: A line of nginx's logs, or of the registry's journal with ``-o short-iso``.
    """
    if found := _REQUEST.match(line):
        return _request_row(server, found)
    if found := _JOURNAL.match(line):
        at, program, text = found.groups()
        # journalctl leaves out the colon, nginx writes it.
        at = _ZONE.sub(r"\1:\2", at)
        fields = _fields_of(text)
        if fields is not None:
            return _registry_row(server, at, program, fields)
        text = f"{program}: {text}"
        return LogRow(server, at, level_of(text), intern(program), text)
    if found := _NGINX.match(line):
        year, month, day, clock, word, text = found.groups()
        level = _LEVELS.get(word, Level.INFO)
        at = f"{year}-{month}-{day}T{clock}"
        return LogRow(server, at, level, "nginx", f"nginx: {word}: {text}")
    return LogRow(server, level=level_of(line), message=line)


_TIME = r"\d{4}-(?:0\d|1[0-2])-\d\dT\d\d:\d\d:\d\d"
_REQUEST = re.compile(
    rf"^({_TIME}\S*)\t([^\t]*)\t(\d{{3}})\t([A-Z]+)\t([^\t]*)\t([^\t]*)\t[^\t]*\t[^\t]*\t([^\t]*)"
)
"""A request in nginx's log: time, user, status, method, path, address, size, duration and client;
see site.conf.j2. nginx escapes tabs within them."""
_JOURNAL = re.compile(rf"^({_TIME}\S*) ([^\s\[:]+)(?:\[\d+\])?: (.*)", re.DOTALL)
_ZONE = re.compile(r"([+-]\d\d)(\d\d)$")
_NGINX = re.compile(
    r"^(\d{4})/(0\d|1[0-2])/(\d\d) (\d\d:\d\d:\d\d) \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)", re.DOTALL
)
_FIELD = re.compile(r'\s*([\w.]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)')
_LEVELS = {
    "panic": Level.ERROR, "fatal": Level.ERROR, "error": Level.ERROR, "emerg": Level.ERROR,
    "alert": Level.ERROR, "crit": Level.ERROR, "warning": Level.WARNING, "warn": Level.WARNING,
}  # fmt: skip
_REPOSITORY = re.compile(
    r"^/v2/(.+)/(?:manifests/[^/]+|blobs/[^/]+|blobs/uploads/.*|tags/list|referrers/[^/]+)$"
)
_METHOD, _URI, _STATUS = "http.request.method", "http.request.uri", "http.response.status"
_USER, _ADDRESS = "auth.user.name", "http.request.remoteaddr"
_AGENT = "http.request.useragent"
_SAID = {"time", "level", "msg", "err.message", _METHOD, _URI, _STATUS, _USER, _ADDRESS, _AGENT,
         "go.version", "instance.id", "service", "version", "vars.name"}  # fmt: skip
_LONGEST_REASON = 40
_USER_WIDTH, _ADDRESS_WIDTH = 10, 15
_SHORTEST = 5


def _request_row(server: str, line: re.Match[str]) -> LogRow:
    at, user, status, method, path, address, agent = line.groups()
    row = LogRow(
        server, at, program="requests", method=intern(method), path=path, status=int(status),
        user=intern("" if user == "-" else user), address=intern(address),
        repository=intern(_repository_of(path)),
    )  # fmt: skip
    row = replace(row, is_check=_is_check(row, agent))
    return replace(row, level=_level_of_request(row))


def _repository_of(path: str) -> str:
    found = _REPOSITORY.match(unquote(path.partition("?")[0]))
    return found[1] if found else ""


def _is_check(row: LogRow, agent: str) -> bool:
    """Return whether a request is one of Moorage's checks.

    A client can send any User-Agent. A failed login is a check only under the name that the checks
    use, so no guess at a user's password can be hidden.
    """
    is_guess = row.status in {401, 429} and row.user not in {"", CHECK_REPOSITORY}
    if is_guess or row.status >= 500:
        return False
    return (
        row.repository == CHECK_REPOSITORY
        or (row.repository == _HEALTH_REPOSITORY and row.status == 404)
        or (row.path == "/v2/" and agent.startswith(_AGENTS))
    )


def _level_of_request(row: LogRow) -> Level:
    """Return the level of a request by its status.

    A push begins with HEAD requests that return 404, and a client sends no password until a 401
    requires it.
    """
    if row.status >= 500:
        return Level.ERROR
    is_usual = (row.status == 404 and row.method == "HEAD") or (row.status == 401 and not row.user)
    return Level.ROUTINE if row.status < 400 or is_usual or row.is_check else Level.WARNING


def _fields_of(text: str) -> dict[str, str] | None:
    """Return the fields of a line of the registry, as text or JSON; None for any other line.

    They end where the line is not what the registry writes, and the first of a name counts.
    """
    if text.startswith("{"):
        return _json_fields(text)
    fields: dict[str, str] = {}
    place = 0
    while found := _FIELD.match(text, place):
        fields.setdefault(found[1], _unquoted(found[2]))
        place = found.end()
    if "level" not in fields or "msg" not in fields:
        return None
    if rest := text[place:].strip():
        fields.setdefault("unreadable", rest)
    return fields


def _json_fields(text: str) -> dict[str, str] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    # The logstash format has other names.
    fields = {str(key).removeprefix("@"): each for key, each in value.items()}
    if "message" in fields:
        fields.setdefault("msg", fields["message"])
    plain = {key: str(each) for key, each in fields.items() if isinstance(each, str | int | float)}
    return plain if {"level", "msg"} <= plain.keys() else None


def _registry_row(server: str, at: str, program: str, fields: Mapping[str, str]) -> LogRow | None:
    word, message = fields["level"], fields["msg"]
    if message == "response completed" and word == "info":
        # nginx logs the same request, with its user.
        return None
    status = fields.get(_STATUS, "")
    path = fields.get(_URI, "")
    row = LogRow(
        server, at, _LEVELS.get(word, Level.ROUTINE if word in {"debug", "trace"} else Level.INFO),
        intern(program), fields.get("err.message") or message,
        method=intern(fields.get(_METHOD, "")) if path else "",
        path=path,
        status=int(status) if re.fullmatch(r"[1-5][0-9]{2}", status) else 0,
        user=intern(fields.get(_USER, "")),
        address=intern(fields.get(_ADDRESS, "")),
        repository=intern(fields.get("vars.name") or _repository_of(path)),
        details=" ".join(f"{key}={_quoted(value)}" for key, value in fields.items()
                         if key not in _SAID),
    )  # fmt: skip
    if not row.method:
        label = f"{word}: " if row.level in {Level.WARNING, Level.ERROR} else ""
        return replace(row, message=f"{label}{row.message}")
    row = replace(row, is_check=_is_check(row, fields.get(_AGENT, "")))
    if row.status:
        # The registry logs each failed request as an error.
        level = _level_of_request(row)
    else:
        # A check discards its large upload, and the registry closes that file twice.
        is_discarded = row.is_check and row.method == "DELETE"
        level = Level.ROUTINE if is_discarded else row.level
    return replace(row, level=level, message=_reason(fields, row.message))


def _reason(fields: Mapping[str, str], message: str) -> str:
    """Return why a request failed: the storage's message, or its end if it is long."""
    detail = fields.get("err.detail", "")
    if not detail or detail.startswith("map[") or _IS_DIGEST.fullmatch(detail):
        return message.removeprefix("response completed").strip()
    return detail if len(detail) <= _LONGEST_REASON else detail.rpartition(": ")[2]


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])


def _quoted(value: str) -> str:
    """Return a value so that it cannot look like several: quoted if it has spaces or quotes."""
    return value if re.fullmatch(r'[^\s"\\]*', value) else json.dumps(value, ensure_ascii=False)


def _shortened(text: str, width: int) -> str:
    """Return a text shortened in the middle to a width, but not to less than is recognizable."""
    width = max(_SHORTEST, width)
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[head + 1 - width :]}"


def _one_line(*parts: str) -> str:
    text = " ".join(filter(None, parts))
    return text.replace("\n", "\\n").replace("\t", "\\t")
