"""A log in memory, limited in length, filtered by server, level and text. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from moorage.deploy.logs.rows import Level, LogFilter, LogRow

MOST_LINES = 100_000
"""Lines to keep; the oldest are dropped. The server keeps its whole log."""
_SLACK = 10_000

RUN_LEVELS: tuple[tuple[Level, str], ...] = (
    (Level.INFO, "without the packages' output"),
    (Level.ROUTINE, "all lines"),
    (Level.STEP, "steps and problems"),
    (Level.WARNING, "warnings and errors"),
    (Level.ERROR, "errors"),
)
"""The minimum levels to show in the log of a run, and their names; the first is the default."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the log.

    Attributes:
        server: The server.
        level: The level.
        text: The line, with control characters escaped.
        row: The row that the line shows, for filters; None for lines that no filter hides.
    """

    server: str
    level: Level
    text: str
    row: LogRow | None = None


class LogStore:
    """Log lines in order, and a filter that selects those to show.

    Attributes:
        server: The server whose lines are shown; empty for all.
        level: The minimum level to show.
        text: The text that shown lines contain, in any case; empty for all.
        filter: The filter of the rows.
        dropped: The number of lines dropped.
    """

    def __init__(self, most: int = MOST_LINES) -> None:
        self._most = most
        self._lines: list[LogEntry] = []
        self._shown: list[int] = []
        self.dropped = 0
        self.server = ""
        self.level = Level.ROUTINE
        self.text = ""
        self.filter = LogFilter()

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, place: int) -> LogEntry:
        return self._lines[self._shown[place] - self.dropped]

    @property
    def total(self) -> int:
        """The number of lines, shown or not."""
        return len(self._lines)

    def add(self, entries: Iterable[LogEntry]) -> int:
        """Add lines; returns how many shown lines were dropped from the top."""
        number = self.dropped + len(self._lines)
        for entry in entries:
            self._lines.append(entry)
            if self._is_shown(entry):
                self._shown.append(number)
            number += 1
        surplus = len(self._lines) - self._most
        if surplus < _SLACK and len(self._lines) < self._most + _SLACK:
            return 0
        del self._lines[:surplus]
        self.dropped += surplus
        gone = bisect_left(self._shown, self.dropped)
        del self._shown[:gone]
        return gone

    def show(
        self,
        *,
        server: str | None = None,
        level: Level | None = None,
        text: str | None = None,
        rows: LogFilter | None = None,
    ) -> None:
        """Change the filter; None leaves a part of it unchanged."""
        self.server = self.server if server is None else server
        self.level = self.level if level is None else level
        self.text = self.text if text is None else text.lower()
        self.filter = self.filter if rows is None else rows
        begin = self.dropped
        self._shown = [
            begin + place for place, entry in enumerate(self._lines) if self._is_shown(entry)
        ]

    def _is_shown(self, entry: LogEntry) -> bool:
        return (
            (not self.server or entry.server == self.server)
            and entry.level >= self.level
            and (entry.row is None or self.filter.shows(entry.row))
            and (not self.text or self.text in entry.text.lower())
        )

    def lines(self) -> list[str]:
        """Return the lines shown, with the server's name if all servers are shown."""
        if self.server:
            return [self[place].text for place in range(len(self))]
        return [f"{self[place].server}: {self[place].text}" for place in range(len(self))]
