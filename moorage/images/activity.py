#!/usr/bin/python3
"""Index of who pushed and pulled what, and when: kept on each server, fed from nginx's log.

Moorage places this file on the servers, where a timer runs it; the operator's machine uses it to
read an index. It needs nothing but the modules of Debian's python3-minimal, from Python 3.9 on.

The log has a line for each request (see nginx/site.conf.j2). A name in it is the user's only if
nginx passed the request on, because it checks the password first; nginx escapes all characters that
could make one field look like several. The index keeps the last use of each tag and digest, the
last request of each user, the last events and totals per hour, however often the log is rotated.

An update reads only what was added since the last one. A log is recognized by how it begins, so
renaming, compressing or copying it does not matter. Where lines may be missing, because a log was
removed before it was read or has damaged lines, the index counts as complete only since then.
"""

from __future__ import annotations

import calendar
import errno
import fcntl
import hashlib
import os
import re
import stat
import sys
import time
import zlib
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Marks = list[tuple[int, str]]

VERSION = 1
LOG = "/var/log/nginx/moorage.log"
MOST_IMAGES = 150_000
"""Tags and digests in the index. Past that, those unused for longest are dropped."""
MOST_USERS = 20_000
MOST_EVENTS = 300
MOST_HOURS = 31 * 24
MOST_MINUTES = 120
MOST_FAILED_HOURS = 48
LONGEST_LINE = 1 << 20
LARGEST = 1 << 62
"""The largest number in an index, which can come from a server that was taken over."""
PUSH, PULL, LOOK = 0, 1, 2
"""Where a use is in an image's marks."""
NEVER = (0, "")

_HEAD = 256
"""Bytes at the beginning of a log by which it is recognized."""
_BLOCK = 1 << 20
_FULL_DISK = 1 << 20
"""Bytes left on the log's disk below which nginx may drop lines."""
_SAME_PULL = 60
"""Seconds within which requests for an image by one user are one pull."""
_CLOCK_STEP = 600
"""Seconds by which times in the log can go back."""
_IDLE = 30 * 24 * 3600
"""Seconds without a request after which the server's clock has rather been set forward."""
_RETRIES = 3
_ROTATION = 1.0
"""Seconds until a rotation that was under way has ended."""
_INDEX, _LOCK = "index", "lock"
_TIME_LENGTH = len("2026-01-01T00:00:00+00:00")
_TOTALS = 5
_CHECK_AGENTS = (b"moorage-check", b"moorage-failover")
_PLACE = re.compile(rb"/v2/([a-z0-9._/-]{1,255})/([a-z]+)/([A-Za-z0-9_.:+-]{1,255})(?:\?|$)")
_CHECK = re.compile(
    rb"/v2/moorage-(?:verify|health)/(?:manifests/[^/]*|tags/list[^/]*|blobs/[^/]*"
    rb"|blobs/uploads/[^/]*(?:\?.*)?)"
)
_DIGEST = re.compile(rb"[a-z0-9+._-]{1,32}:[0-9a-f]{32,128}")
_TIME = re.compile(
    rb"([12]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)"
    rb"([+-])([01]\d|2[0-3]):([0-5]\d)"
)
_SUFFIX = re.compile(r"(?:\.(\d{1,9})|-\d{8,20})?(\.gz)?")


class Index:
    """The pushes and pulls that are known.

    Attributes:
        covers_since: The time since when all requests are known, in seconds since 1970.
        images: By repository and tag or digest: the last push, pull and look (a client that asks
            whether it has the current image already), each as time and user; see :data:`NEVER`.
        users: By name as nginx writes it: the times of the last request and of the last push.
        minutes: By minute since 1970, for the last two hours: requests, failed requests, bytes
            sent, pushes, pulls.
        hours: The same by hour, for the time before.
        failed: By hour since 1970 and status, for the last two days: failed requests.
        events: The last pushes, pulls and deletions, oldest first: time, kind, user, repository,
            tag or digest.
        logs: By how a log begins, as length and checksum: the number of bytes read from it.
        live: How the log begins that nginx was writing to; empty if that was empty.
        inode: Its inode.
        last: The time of the last line that was read.
    """

    def __init__(self) -> None:
        self.covers_since = 0
        self.images: dict[tuple[str, str], Marks] = {}
        self.users: dict[str, list[int]] = {}
        self.hours: dict[int, list[int]] = {}
        self.minutes: dict[int, list[int]] = {}
        self.failed: dict[tuple[int, int], int] = {}
        self.events: deque[tuple[int, str, str, str, str]] = deque(maxlen=MOST_EVENTS)
        self.logs: dict[str, int] = {}
        self.live = ""
        self.inode = 0
        self.last = 0

    def last_uses(self) -> dict[tuple[str, str], float]:
        """Return when each tag and digest was last pulled or looked at."""
        uses = {key: max(marks[PULL][0], marks[LOOK][0]) for key, marks in self.images.items()}
        return {key: float(at) for key, at in uses.items() if at}

    def write(self) -> Iterator[str]:
        """Yield the lines of the index."""
        yield f"moorage-activity\t{VERSION}"
        yield f"covers_since\t{self.covers_since}"
        yield f"live\t{self.live}\t{self.inode}\t{self.last}"
        for begin, offset in self.logs.items():
            yield f"log\t{begin}\t{offset}"
        numbers: dict[str, int] = {"": 0}
        for name, times in self.users.items():
            numbers[name] = len(numbers)
            yield f"user\t{name}\t{times[0]}\t{times[1]}"
        for kind, totals in (("hour", self.hours), ("minute", self.minutes)):
            for key in sorted(totals):
                yield "\t".join(map(str, (kind, key, *totals[key])))
        for (hour, status), count in sorted(self.failed.items()):
            yield f"failed\t{hour}\t{status}\t{count}"
        for at, what, user, repository, reference in self.events:
            yield f"event\t{at}\t{what}\t{user}\t{repository}\t{reference}"
        # Names of users are long and repeat, so images have their numbers.
        current = None
        for (repository, reference), marks in sorted(self.images.items()):
            if repository != current:
                current = repository
                yield f"repository\t{repository}"
            # A user can have been dropped already.
            uses = (f"{at}\t{numbers.get(user, 0)}" for at, user in marks)
            yield "\t".join(("image", reference, *uses))
        yield "end"


def parse_index(text: str) -> Index:
    """Return the index in a text.

    Raises:
        ValueError: It is cut, or not an index of this version.
    """
    index = Index()
    lines = text.split("\n")
    if lines[:1] != [f"moorage-activity\t{VERSION}"] or lines[-2:] != ["end", ""]:
        raise ValueError("not a complete index of activity")
    names = [""]
    repository = ""
    for line in lines[1:-2]:
        kind, *values = line.split("\t")
        if kind == "image":
            reference, *uses = values
            push, pushed_by, pull, pulled_by, look, looked_by = _numbers(uses)
            index.images[repository, reference] = [
                (push, names[pushed_by]), (pull, names[pulled_by]), (look, names[looked_by])
            ]  # fmt: skip
        elif kind == "repository":
            [repository] = values
        elif kind == "user":
            name, seen, pushed = values
            names.append(name)
            index.users[name] = _numbers((seen, pushed))
        elif kind in {"hour", "minute"}:
            totals = index.hours if kind == "hour" else index.minutes
            key, requests, failed, size, pushes, pulls = _numbers(values)
            totals[key] = [requests, failed, size, pushes, pulls]
        elif kind == "failed":
            hour, status, count = _numbers(values)
            index.failed[hour, status] = count
        elif kind == "event":
            at_text, what, user, where, reference = values
            [at] = _numbers((at_text,))
            index.events.append((at, what, user, where, reference))
        elif kind == "log":
            begin, offset = values
            index.logs[begin] = int(offset)
        elif kind == "live":
            index.live, inode, last = values
            index.inode, index.last = int(inode), int(last)
        elif kind == "covers_since":
            [index.covers_since] = _numbers(values)
        else:
            raise ValueError(f"an unknown line: {kind[:20]!r}")
    return index


def _numbers(values: Iterable[str]) -> list[int]:
    """Return numbers that can be counted with.

    Raises:
        ValueError: One is negative or absurd.
    """
    numbers = list(map(int, values))
    if min(numbers) < 0 or max(numbers) > LARGEST:
        raise ValueError("an absurd number")
    return numbers


def parse_time(text: bytes) -> int | None:
    """Return a time as nginx writes it ($time_iso8601) in seconds since 1970; None for others."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    offset = (int(found[8]) * 60 + int(found[9])) * (60 if found[7] == b"+" else -60)
    return calendar.timegm((year, month, day, hour, minute, second)) - offset


class Recorder:
    """Adds lines of the log to an index.

    Args:
        index: The index.

    Attributes:
        lines: The number of lines added.
        is_damaged: Whether the last line was damaged, so that lines may be missing.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._names: dict[bytes, str] = {}
        self._time: tuple[bytes, int | None] = (b"", None)
        self._asked: dict[tuple[str, str], tuple[int, str, str]] = {}
        self._total: list[int] = []
        self._minute = -1
        self.lines = 0
        self.is_damaged = False

    def add(self, line: bytes) -> None:
        """Add a line, without its end.

        Args:
            line: The line: time, user, status, method, path, address, bytes sent, duration,
                client, upstream and, from newer versions, the digest of the response.
        """
        fields = line.split(b"\t")
        at = self._time_of(fields[0]) if len(fields) in {10, 11} else None
        if at is None or len(fields[2]) != 3 or not fields[2].isdigit():
            # nginx writes whole lines; on a full disk, it writes parts of lines and drops others.
            self.is_damaged = True
            return
        index = self._index
        if self.is_damaged or (index.last and not -_CLOCK_STEP <= at - index.last <= _IDLE):
            # If the server's clock was wrong, its times say nothing about what came before.
            self.is_damaged = False
            index.covers_since = max(index.covers_since, index.last, at)
        index.last = at
        self.lines += 1
        # nginx chooses an upstream only after it has checked the password.
        is_user = fields[9] not in {b"-", b""} and fields[1] not in {b"-", b""}
        is_user = is_user and fields[2] not in {b"401", b"429"}
        if _is_check(fields, is_user):
            return
        self._count(at, fields)
        if is_user:
            self._record(at, fields)

    def _time_of(self, text: bytes) -> int | None:
        if text != self._time[0]:
            self._time = (text, parse_time(text))
        return self._time[1]

    def _count(self, at: int, fields: list[bytes]) -> None:
        if at // 60 != self._minute:
            self._minute = at // 60
            self._total = self._index.minutes.setdefault(self._minute, [0] * _TOTALS)
        total = self._total
        total[0] += 1
        if _has_failed(fields):
            total[1] += 1
            failed, which = self._index.failed, (at // 3600, int(fields[2]))
            failed[which] = failed.get(which, 0) + 1
        if fields[6].isdigit() and len(fields[6]) < 16:
            total[2] += int(fields[6])

    def _record(self, at: int, fields: list[bytes]) -> None:
        user = self._name(fields[1])
        times = self._index.users.setdefault(user, [0, 0])
        times[0] = max(times[0], at)
        if fields[2][:1] not in b"23":
            return
        found = _PLACE.match(fields[4])
        if found is None or found[2] != b"manifests":
            return
        repository, reference = found[1].decode(), found[3].decode()
        digest = fields[10] if len(fields) > 10 else b""
        known = digest.decode() if _DIGEST.fullmatch(digest) else ""
        method = fields[3]
        if method == b"GET":
            self._pulled(at, user, repository, reference, known)
        elif method == b"HEAD":
            self._mark(LOOK, (at, user), repository, reference, known)
            if ":" not in reference:
                if len(self._asked) > 1000:
                    self._asked.clear()
                self._asked[user, repository] = (at, reference, known)
        elif method == b"PUT":
            times[1] = max(times[1], at)
            self._mark(PUSH, (at, user), repository, reference, known)
            self._event(at, "push", user, repository, reference)
        elif method == b"DELETE":
            self._event(at, "delete", user, repository, reference)

    def _pulled(self, at: int, user: str, repository: str, reference: str, digest: str) -> None:
        """Record a pull; containerd asks for a tag with HEAD, then pulls its digest."""
        named = reference
        asked_at, tag, tagged = self._asked.get((user, repository), (0, "", ""))
        is_same = tag and ":" in reference and at - asked_at <= _SAME_PULL
        if is_same and tagged in {"", reference}:
            self._mark(PULL, (at, user), repository, tag)
            named = tag
            del self._asked[user, repository]
        self._mark(PULL, (at, user), repository, reference, digest)
        self._event(at, "pull", user, repository, named)

    def _mark(
        self, use: int, mark: tuple[int, str], repository: str, reference: str, digest: str = ""
    ) -> None:
        images = self._index.images
        for each in {reference, digest or reference}:
            marks = images.get((repository, each))
            if marks is None:
                marks = images[repository, each] = [NEVER] * 3
            marks[use] = max(marks[use], mark)

    def _event(self, at: int, kind: str, user: str, repository: str, reference: str) -> None:
        """Record an event; the manifests of one image are one event, named after its tag."""
        events = self._index.events
        for number in range(len(events) - 1, max(len(events) - 9, -1), -1):
            before = events[number]
            if before[1:4] != (kind, user, repository) or at - before[0] > _SAME_PULL:
                continue
            if ":" in reference and kind != "delete":
                return
            if before[4] == reference:
                return
            if ":" in before[4] and kind == "push":
                # A client pushes the manifests of an index first.
                events[number] = (at, kind, user, repository, reference)
                return
        events.append((at, kind, user, repository, reference))
        if kind != "delete":
            self._total[3 if kind == "push" else 4] += 1

    def _name(self, user: bytes) -> str:
        name = self._names.get(user)
        if name is None:
            if len(self._names) > MOST_USERS:
                self._names.clear()
            name = self._names[user] = user.decode("ascii", "backslashreplace")[:1024]
        return name


def _is_check(fields: list[bytes], is_user: bool) -> bool:
    """Return whether a request is one of Moorage's checks; see also deploy/logs/rows.py.

    Any client can send its User-Agent, so it hides nothing but a look at the API.
    """
    path = fields[4]
    if path.startswith(b"/v2/moorage-"):
        return _CHECK.fullmatch(path) is not None and fields[2] < b"500"
    if path == b"/v2/" and fields[8].startswith(_CHECK_AGENTS):
        return is_user or fields[1] in {b"-", b"moorage-verify"}
    return False


def _has_failed(fields: list[bytes]) -> bool:
    """Return whether a request counts as failed.

    A push begins with HEAD requests that return 404, and a client sends no password until a 401
    requires it.
    """
    status = fields[2]
    if status < b"400":
        return status < b"100"
    is_usual = (status == b"404" and fields[3] == b"HEAD") or (
        status == b"401" and fields[1] == b"-"
    )
    return not is_usual


class Log:
    """A log file, opened: nginx's current one, or a rotated one.

    Args:
        path: Its path.
        number: The number in its name; 0 for the current one, -1 for names with a date.

    Attributes:
        inode: Its inode.
        head: The first bytes of its content.
        at: The time of its first line; its last write if it has none.
        offset: How far it was read, at the end of :meth:`lines`.
    """

    def __init__(self, path: str, number: int) -> None:
        self.number = number
        self._is_packed = path.endswith(".gz")
        # It stays open, because it can be renamed meanwhile. A link could lead anywhere.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags), "rb")
        status = os.fstat(self._file.fileno())
        self.inode = status.st_ino
        self.is_regular = stat.S_ISREG(status.st_mode)
        self.head = next(self._blocks(), b"")[:_HEAD] if self.is_regular else b""
        at = parse_time(self.head[:_TIME_LENGTH])
        self.at = int(status.st_mtime) if at is None else at
        self.offset = 0

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def begin(self, length: int) -> str:
        """Return how the log begins: a length and a checksum of so many bytes."""
        return f"{length}:{hashlib.sha256(self.head[:length]).hexdigest()}"

    def known(self, logs: Iterable[str]) -> str:
        """Return which of several beginnings is this log's; empty if none."""
        for each in logs:
            length = int(each.partition(":")[0])
            if 0 < length <= len(self.head) and self.begin(length) == each:
                return each
        return ""

    def lines(self, offset: int) -> Iterator[bytes]:
        """Yield the complete lines from an offset of the content, without their ends."""
        self.offset = skipped = offset
        if not self._is_packed:
            self._file.seek(offset)
            skipped = 0
        rest = b""
        for block in self._blocks():
            if skipped >= len(block):
                skipped -= len(block)
                continue
            *lines, rest = (rest + block[skipped:]).split(b"\n")
            skipped = 0
            yield from lines
            self.offset += sum(map(len, lines)) + len(lines)
            if len(rest) > LONGEST_LINE:
                yield rest
                self.offset += len(rest)
                rest = b""
        if rest and self._is_packed:
            # Nothing can be added to a compressed log, so this line is damaged.
            yield rest
            self.offset += len(rest)

    def _blocks(self) -> Iterator[bytes]:
        """Yield the content; that of a compressed log that is damaged ends with a torn line."""
        file = self._file
        if not self._is_packed:
            left = os.fstat(file.fileno()).st_size - file.tell()
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                left -= len(block)
                yield block
            return
        file.seek(0)
        stream = zlib.decompressobj(wbits=31)
        while data := file.read(_BLOCK // 8):
            while data:
                if stream.eof:
                    stream = zlib.decompressobj(wbits=31)
                try:
                    block = stream.decompress(data, _BLOCK)
                except zlib.error:
                    yield b"\0"
                    return
                data = stream.unused_data if stream.eof else stream.unconsumed_tail
                if block:
                    yield block
        if not stream.eof:
            yield b"\0"


def find_logs(live: str) -> list[Log]:
    """Open nginx's log and the rotated ones, oldest first.

    Args:
        live: The path of the log nginx writes to.
    """
    folder, name = os.path.split(live)
    found = []
    # Before the first run, there is no nginx.
    names = set(os.listdir(folder)) if os.path.isdir(folder) else set()  # noqa: PTH112, PTH208
    for each in names:
        suffix = _SUFFIX.fullmatch(each[len(name) :]) if each.startswith(name) else None
        if suffix is None or (suffix[2] and each[:-3] in names):
            # A log that is being compressed is read from where it still is.
            continue
        number = int(suffix[1]) if suffix[1] else 0 if each == name else -1
        try:
            log = Log(os.path.join(folder, each), number)  # noqa: PTH118
        except OSError as error:
            # It was renamed meanwhile, or is a link.
            if error.errno not in {errno.ENOENT, errno.ELOOP}:
                raise
            continue
        if log.is_regular:
            found.append(log)
        else:
            log.close()
    if any(log.number < 0 for log in found):
        found.sort(key=lambda log: (log.number == 0, log.at, -log.number))
    else:
        found.sort(key=lambda log: -log.number)
    return found


def update(index: Index, live: str = LOG, now: float | None = None) -> int:
    """Add what was logged since the last update.

    Args:
        index: The index; a new one begins with the oldest log.
        live: The path of the log nginx writes to.
        now: The time, in seconds since 1970.

    Returns:
        The number of lines added.
    """
    moment = int(time.time() if now is None else now)
    logs = find_logs(live)
    for _ in range(_RETRIES if index.covers_since else 0):
        if _is_continued(index, logs):
            break
        # The log may be being rotated.
        time.sleep(_ROTATION)
        close(logs)
        logs = find_logs(live)
    if not _is_continued(index, logs):
        index.covers_since = max(index.covers_since, _complete_since(index, logs, moment))
    recorder = Recorder(index)
    read: dict[str, int] = {}
    for log in logs:
        _read(log, index, recorder, read)
    live_log = logs[-1] if logs and logs[-1].number == 0 else None
    if recorder.is_damaged or live_log is None or index.covers_since > moment:
        index.covers_since = moment
    index.logs = read
    index.live = live_log.known(read) if live_log else ""
    index.inode = live_log.inode if live_log else 0
    close(logs)
    _limit(index)
    return recorder.lines


def close(logs: Iterable[Log]) -> None:
    """Close logs."""
    for log in logs:
        log.close()


def _read(log: Log, index: Index, recorder: Recorder, read: dict[str, int]) -> None:
    """Read what is new in a log, and note how far it was read."""
    # The same content can be in two files, while it is being copied.
    before = log.known(read)
    offset = read.pop(before) if before else index.logs.get(log.known(index.logs), 0)
    for line in log.lines(offset):
        recorder.add(line)
    # Lines that are not complete yet do not tell logs apart.
    length = min(log.offset, len(log.head))
    if length:
        read[log.begin(length)] = log.offset


def _is_continued(index: Index, logs: list[Log]) -> bool:
    """Return whether the log of the last update is there, and all logs since."""
    for log in logs:
        if log.known([index.live]) if index.live else log.inode == index.inode:
            break
    else:
        return False
    return {each.number for each in logs} >= set(range(log.number + 1))


def _complete_since(index: Index, logs: list[Log], now: int) -> int:
    """Return the time of the first line after which no log is missing."""
    since = now
    numbers = {log.number for log in logs}
    for log in reversed(logs):
        if log.known(index.logs) or (log.number > 0 and log.number - 1 not in numbers):
            break
        if log.head:
            since = min(since, log.at)
    return since


def _limit(index: Index) -> None:
    """Drop what is oldest, so that the index does not grow for ever."""
    newest = max(index.minutes, default=0)
    for minute in [each for each in index.minutes if each <= newest - MOST_MINUTES]:
        hour = index.hours.setdefault(minute // 60, [0] * _TOTALS)
        for place, count in enumerate(index.minutes.pop(minute)):
            hour[place] += count
    for hour_key in sorted(index.hours)[:-MOST_HOURS]:
        del index.hours[hour_key]
    last_hour = max((hour for hour, _ in index.failed), default=0)
    for which in [each for each in index.failed if each[0] <= last_hour - MOST_FAILED_HOURS]:
        del index.failed[which]
    by_use = sorted((_last_use(marks), key) for key, marks in index.images.items())
    for at, key in by_use[: max(len(by_use) - MOST_IMAGES, 0)]:
        del index.images[key]
        # What is not in the index has not been used since this time.
        index.covers_since = max(index.covers_since, at)
    by_time = sorted((times[0], name) for name, times in index.users.items())
    for _, name in by_time[: max(len(by_time) - MOST_USERS, 0)]:
        del index.users[name]


def _last_use(marks: Marks) -> int:
    return max(marks[use][0] for use in (PUSH, PULL, LOOK))


def load(folder: str) -> Index:
    """Return the index in a folder, or a new one.

    Args:
        folder: The folder. A damaged index is set aside there.
    """
    path = f"{folder}/{_INDEX}"
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            return parse_index(file.read())
    except FileNotFoundError:
        return Index()
    except (ValueError, IndexError):
        os.replace(path, f"{path}.damaged")  # noqa: PTH105
        return Index()


def save(index: Index, folder: str) -> None:
    """Replace the index in a folder, so that it is whole whenever the server stops.

    Args:
        index: The index.
        folder: The folder.
    """
    path = f"{folder}/{_INDEX}"
    with open(f"{path}.new", "w", encoding="ascii") as file:  # noqa: PTH123
        file.writelines(f"{line}\n" for line in index.write())
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)  # noqa: PTH105
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(opened)
    os.close(opened)


def update_folder(folder: str, live: str = LOG) -> int:
    """Update the index in a folder; an update that is under way there ends first.

    Args:
        folder: The folder.
        live: The path of the log nginx writes to.

    Returns:
        The number of lines added.
    """
    # The time of the lock is when the disk was last full. Setting it needs no space.
    lock = os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        index = load(folder)
        if not index.covers_since:
            os.utime(lock, (0, 0))
        room = os.statvfs(os.path.dirname(live))  # noqa: PTH120
        if room.f_bavail * room.f_frsize < _FULL_DISK:
            os.utime(lock)
        before = (index.logs, index.live, index.inode, index.covers_since)
        lines = update(index, live)
        index.covers_since = max(index.covers_since, int(os.fstat(lock).st_mtime))
        if before != (index.logs, index.live, index.inode, index.covers_since):
            save(index, folder)
    finally:
        os.close(lock)
    return lines


def main(arguments: list[str]) -> int:
    """Update the index in a folder or, without one, print what the logs say."""
    if arguments:
        lines = update_folder(arguments[0])
        print(f"{lines} requests")
        return 0
    index = Index()
    update(index)
    sys.stdout.writelines(f"{line}\n" for line in index.write())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
