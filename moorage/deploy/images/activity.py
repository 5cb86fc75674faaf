"""Pushes and pulls on all servers, with their users, from the index that each server keeps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus

from moorage.deploy.deployment import Deployment
from moorage.errors import MoorageError
from moorage.images.activity import LOOK, PULL, PUSH, Index, parse_index
from moorage.images.retention import Pulls
from moorage.servers.transport import Completed, Transport
from templates.load import shell_script

DEADLINE = 300.0
"""Seconds a server can take to read its log, which is about 1 GB in 30 seconds."""
_MOST = 256 * 1024**2
_NO_PYTHON = 3
_PUSH_TAKES = 3600
"""Seconds before a push during which a client asks whether the tag exists."""
_AHEAD = 5
"""Minutes by which a server's clock can be ahead, for its last requests to be shown."""
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")


@dataclass(frozen=True, order=True)
class Use:
    """A push or pull.

    Attributes:
        at: Its time, in seconds since 1970.
        user: The user.
    """

    at: int
    user: str


@dataclass(frozen=True)
class ImageUse:
    """The last uses of a tag, or of a digest.

    Attributes:
        pushed: The last push; None if none is known.
        fetched: The last download of its manifest.
        checked: The last time a client asked which digest it is, without downloading it.
    """

    pushed: Use | None = None
    fetched: Use | None = None
    checked: Use | None = None

    @property
    def used(self) -> Use | None:
        """The last pull or check: what counts for keeping an image."""
        return _latest(self.fetched, self.checked)

    @property
    def pulled(self) -> Use | None:
        """The last pull. A client that already has the image only checks; so does a push."""
        if self.checked is None or self.pushed is None:
            return self.used
        before = self.pushed.at - self.checked.at
        belongs_to_push = self.checked.user == self.pushed.user and 0 <= before <= _PUSH_TAKES
        return self.fetched if belongs_to_push else self.used

    def latest(self, other: ImageUse) -> ImageUse:
        """Return the later of each of the uses."""
        return ImageUse(
            _latest(self.pushed, other.pushed),
            _latest(self.fetched, other.fetched),
            _latest(self.checked, other.checked),
        )


@dataclass(frozen=True)
class Event:
    """A push, pull or deletion.

    Attributes:
        at: Its time, in seconds since 1970.
        kind: ``push``, ``pull`` or ``delete``.
        user: The user.
        repository: The repository.
        reference: The tag, or the digest.
        server: The server it went to.
    """

    at: int
    kind: str
    user: str
    repository: str
    reference: str
    server: str

    @property
    def image(self) -> str:
        """The image as clients write it."""
        return f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"


@dataclass(frozen=True)
class Traffic:
    """The requests of a minute or an hour.

    Attributes:
        requests: All requests, without Moorage's own checks.
        failed: Those that were refused or failed.
        size: Bytes sent to clients.
        pushes: Images pushed.
        pulls: Images pulled.
    """

    requests: int = 0
    failed: int = 0
    size: int = 0
    pushes: int = 0
    pulls: int = 0


@dataclass(frozen=True)
class Failures:
    """The failed requests with one status.

    Attributes:
        status: The status.
        count: Their number.
        last: The last hour with one, in seconds since 1970.
    """

    status: int
    count: int
    last: int

    @property
    def meaning(self) -> str:
        """The status in words, as HTTP names it."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return _NGINX_STATUSES.get(self.status, "")


_NGINX_STATUSES = {
    444: "Connection closed without a response",
    494: "Request header too large",
    495: "Client certificate error",
    496: "No client certificate",
    497: "HTTP request to an HTTPS port",
    499: "Client closed the connection",
}
"""Statuses that only nginx has, from its ngx_http_request.h."""


@dataclass(frozen=True)
class Activity:
    """Pushes and pulls of a deployment.

    Attributes:
        indexes: Each server's index, by label.
        left_out: Why the other servers' could not be read.
        skipped: The servers that were not to be read.
    """

    indexes: Mapping[str, Index] = field(default_factory=dict)
    left_out: Sequence[MoorageError] = ()
    skipped: Sequence[str] = ()

    @property
    def covers_since(self) -> int | None:
        """Since when all requests to all servers are known; None if a server's are not."""
        if self.left_out or self.skipped or not self.indexes:
            return None
        return max(index.covers_since for index in self.indexes.values())

    @cached_property
    def images(self) -> Mapping[tuple[str, str], ImageUse]:
        """The last uses on any server, by repository and tag or digest."""
        found: dict[tuple[str, str], ImageUse] = {}
        for index in self.indexes.values():
            for key, marks in index.images.items():
                uses = [Use(at, unescaped(user)) if at else None for at, user in marks]
                use = ImageUse(uses[PUSH], uses[PULL], uses[LOOK])
                found[key] = found[key].latest(use) if key in found else use
        return found

    def of(self, repository: str, tag: str, digest: str) -> ImageUse:
        """Return the last push of a tag, and the last pull of it by its name or its digest.

        A push of the same digest to another tag is not a push of this one.

        Args:
            repository: Its repository.
            tag: Its name.
            digest: Its digest.
        """
        by_tag = self.images.get((repository, tag), ImageUse())
        by_digest = self.images.get((repository, digest), ImageUse())
        return ImageUse(by_tag.pushed, _latest(by_tag.pulled, by_digest.pulled))

    @property
    def pulls(self) -> Pulls:
        """The last use of each image, for retention rules."""
        last: dict[tuple[str, str], float] = {}
        for index in self.indexes.values():
            for key, at in index.last_uses().items():
                last[key] = max(at, last.get(key, 0.0))
        return Pulls(last, self.covers_since)

    @cached_property
    def repositories(self) -> Mapping[str, tuple[Use | None, Use | None]]:
        """The last push to each repository and the last pull from it."""
        found: dict[str, tuple[Use | None, Use | None]] = {}
        for (repository, _), use in self.images.items():
            pushed, pulled = found.get(repository, (None, None))
            found[repository] = (_latest(pushed, use.pushed), _latest(pulled, use.pulled))
        return found

    @property
    def users(self) -> Mapping[str, tuple[int, int]]:
        """Each user's last request and last push on any server; 0 for none."""
        found: dict[str, tuple[int, int]] = {}
        for index in self.indexes.values():
            for name, (seen, pushed) in index.users.items():
                before = found.get(unescaped(name), (0, 0))
                found[unescaped(name)] = (max(before[0], seen), max(before[1], pushed))
        return found

    @property
    def events(self) -> list[Event]:
        """The last pushes, pulls and deletions, latest first."""
        found = [
            Event(at, kind, unescaped(user), repository, reference, server)
            for server, index in self.indexes.items()
            for at, kind, user, repository, reference in index.events
        ]
        # A log's times are whole seconds, so its order counts as well.
        return sorted(found, key=lambda event: event.at)[::-1]

    @property
    def hours(self) -> Mapping[int, Traffic]:
        """The requests of each hour, by the hour since 1970."""
        return _sums(
            (key // per, totals)
            for index in self.indexes.values()
            for per, rows in ((1, index.hours), (60, index.minutes))
            for key, totals in rows.items()
        )

    @property
    def minutes(self) -> Mapping[int, Traffic]:
        """The requests of each of the last minutes, by the minute since 1970."""
        return _sums(each for index in self.indexes.values() for each in index.minutes.items())

    def last_minutes(self, count: int, now: float) -> list[tuple[int, Traffic]]:
        """Return each of the last minutes, since 1970, with its requests; also those without any.

        Args:
            count: The number of minutes.
            now: The time, in seconds since 1970. A server's clock can be ahead of it.
        """
        minutes = self.minutes
        ahead = [minute for minute in minutes if minute <= now / 60 + _AHEAD]
        last = max([int(now // 60), *ahead])
        return [(minute, minutes.get(minute, Traffic()))
                for minute in range(last - count + 1, last + 1)]  # fmt: skip

    def failures(self, hours: int = 24) -> list[Failures]:
        """Return the failed requests of the last hours with requests, by status, most first.

        Args:
            hours: The number of hours.
        """
        newest = max(self.hours, default=0)
        found: dict[int, list[int]] = {}
        for index in self.indexes.values():
            for (hour, status), count in index.failed.items():
                if newest - hours < hour <= newest:
                    sums = found.setdefault(status, [0, 0])
                    sums[0] += count
                    sums[1] = max(sums[1], hour * 3600)
        rows = (Failures(status, *sums) for status, sums in found.items())
        return sorted(rows, key=lambda row: (-row.count, row.status))


def read_activity(deployment: Deployment, timeout: float = DEADLINE) -> Activity:
    """Read from all servers in parallel who pushed and pulled what. Blocks.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.
        timeout: Seconds after which a server is left out.
    """
    from moorage.desired.build import activity_script

    def read(transport: Transport) -> Completed:
        return transport.run(
            shell_script("activity.sh"),
            payload=activity_script(),
            timeout=timeout,
            deadline=timeout,
            cancel=deployment.cancel,
        )

    indexes: dict[str, Index] = {}
    left_out: list[MoorageError] = []
    found = deployment.on_each(read)
    for server, completed in found.items():
        try:
            if isinstance(completed, MoorageError):
                raise completed
            indexes[server] = index_of(server, completed)
        except MoorageError as error:
            left_out.append(error)
    servers = (server.host for server in deployment.answers.servers)
    return Activity(indexes, tuple(left_out), tuple(each for each in servers if each not in found))


def index_of(server: str, completed: Completed) -> Index:
    """Return the index that a server printed.

    Args:
        server: The server's label.
        completed: The answer of `activity.sh`.

    Raises:
        MoorageError: It could not read its logs, or printed something else.
    """
    if completed.exit_status == _NO_PYTHON:
        raise MoorageError(
            "python3 is not installed, which reads nginx's log.", server=server,
            code="activity_without_python", advice="Apply the answers: that installs it.",
        )  # fmt: skip
    try:
        return parse_index(completed.unpacked(_MOST).decode("ascii"))
    except (ValueError, IndexError) as error:
        raise _unreadable(server, str(error)) from error


def _unreadable(server: str, reason: str) -> MoorageError:
    return MoorageError(
        f"the log of requests could not be read: {reason}",
        server=server,
        code="activity_unreadable",
    )


def unescaped(name: str) -> str:
    r"""Return a name in which nginx escaped special characters as ``\xNN``."""
    if "\\" not in name:
        return name
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name)
    return plain.encode("latin-1", "replace").decode("utf-8", "replace")


def _latest(one: Use | None, other: Use | None) -> Use | None:
    return max((use for use in (one, other) if use is not None), default=None)


def _sums(rows: Iterable[tuple[int, Sequence[int]]]) -> dict[int, Traffic]:
    sums: dict[int, Counter[int]] = {}
    for key, totals in rows:
        sums.setdefault(key, Counter()).update(dict(enumerate(totals)))
    return {key: Traffic(*(sums[key][place] for place in range(5))) for key in sorted(sums)}
