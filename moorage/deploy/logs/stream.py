"""Turn the output of ``logs.sh`` into rows, and remember how far it was read."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import replace

from moorage.deploy.logs.rows import LONGEST_LINE, LogRow, row_of

_ZONE = re.compile(r"T[\d:.]+(Z|[+-]\d\d:?\d\d)$")
_JOURNAL_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})([+-]\d\d:?\d\d) ")
_POSITION = re.compile(rb"@ (\d{1,20}) (\d{1,20})")
_FILES = (b"e", b"r")
_JOURNAL = b"j"


class LineReader:
    """Turns lines into rows.

    Args:
        server: The server's label.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._rest = b""
        self._length = 0
        self._zone = ""

    def read(self, data: bytes) -> list[LogRow]:
        """Return the rows of the lines that are complete.

        Args:
            data: Output, as it arrives.
        """
        rows = (self._take(line, length) for line, length in self._complete(data))
        return [row for row in rows if row is not None]

    def end(self) -> list[LogRow]:
        """Return the row of a last line without an end."""
        return self.read(b"\n") if self._rest else []

    def _complete(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield the complete lines, cut if they are too long, and their length on the server."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole, length = self._rest + line, self._length + len(line) + 1
            self._rest, self._length = b"", 0
            yield whole, length
        # One byte more, so that the line is known to be cut.
        self._rest = (self._rest + rest)[: LONGEST_LINE + 1]
        self._length += len(rest)

    def _take(self, line: bytes, length: int) -> LogRow | None:
        return self._row(line)

    def _row(self, line: bytes) -> LogRow | None:
        text = line[:LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
        row = row_of(self._server, text)
        if row is None:
            return None
        if found := _ZONE.search(row.at):
            self._zone = found[1]
        elif row.at:
            # nginx's error log has no zone: its times are in the server's.
            row = replace(row, at=f"{row.at}{self._zone}")
        if len(line) > LONGEST_LINE:
            row = replace(row, details=f"{row.details} …".strip())
        return row


class LogStream(LineReader):
    """The logs of a server over several connections: each line once.

    Attributes:
        has_begun: Whether the script has begun to follow the logs over this connection.
        has_gap: Whether lines are missing, because a log was rotated and removed meanwhile.
    """

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.has_begun = self.has_gap = False
        self._since = ""
        self._lines_since = 0
        self._to_skip = 0
        self._positions: dict[bytes, tuple[int, int]] = {}

    def begin(self) -> str:
        """Begin to read over a new connection; returns the lines for ``logs.sh`` to continue."""
        self._rest, self._length = b"", 0
        self.has_begun = self.has_gap = False
        # journalctl prints the lines of this very moment again.
        self._to_skip, self._lines_since = self._to_skip + self._lines_since, 0
        places = (self._positions.get(log, ("-", "-")) for log in _FILES)
        return "".join(
            [f"{self._since or '-'}\n", *(f"{inode} {offset}\n" for inode, offset in places)]
        )

    def _take(self, line: bytes, length: int) -> LogRow | None:
        if line == b"@":
            self.has_begun = True
            return None
        log, line = line[:1], line[1:]
        if log == _JOURNAL:
            return self._row(line) if self._is_new(line) else None
        if line.startswith(b"@ "):
            if found := _POSITION.fullmatch(line):
                self._positions[log] = (int(found[1]), int(found[2]))
            else:
                self.has_gap = True
            return None
        if log in self._positions:
            inode, offset = self._positions[log]
            self._positions[log] = (inode, offset + length - 1)
        return self._row(line)

    def _is_new(self, line: bytes) -> bool:
        """Count the journal's lines since the time of the last entry; skip those known."""
        if (found := _JOURNAL_TIME.match(line)) is not None:
            whole = datetime.datetime.fromisoformat(f"{found[1].decode()}{found[3].decode()}")
            since = f"{int(whole.timestamp())}.{found[2].decode()}"
            if since != self._since:
                self._since, self._lines_since, self._to_skip = since, 0, 0
        self._lines_since += 1
        if self._to_skip:
            self._to_skip -= 1
            return False
        return True
