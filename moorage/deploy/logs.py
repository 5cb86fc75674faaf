"""Read and follow the logs of a deployment: the registry's journal and nginx's logs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.deploy.log_rows import LONGEST_LINE, LogRow, row_of
from moorage.errors import CannotConnect, MoorageError
from templates.load import shell_script

if TYPE_CHECKING:
    from moorage.answers.model import Server
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.operations import OperatorAsker

LINES = 300
"""Lines to read from the end of each log."""
_TIMEOUT = 60
"""Seconds without any data before a server that is only read counts as not responding."""
_BACKLOG_SECONDS = 0.5
"""Seconds in which the last lines arrive, log after log and server after server."""
_ZONE = re.compile(r"T[\d:.]+(Z|[+-]\d\d:?\d\d)$")


class LineReader:
    """Turns a server's output into rows.

    Args:
        server: The server's label.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._rest = b""
        self._zone = ""

    def read(self, data: bytes) -> list[LogRow]:
        """Return the rows of the lines that are complete.

        Args:
            data: Output, as it arrives.
        """
        *lines, rest = (self._rest + data).split(b"\n")
        # One byte more, so that the line is known to be cut.
        self._rest = rest[: LONGEST_LINE + 1]
        rows = (self._row(line) for line in lines)
        return [row for row in rows if row is not None]

    def end(self) -> list[LogRow]:
        """Return the row of a last line without an end."""
        return self.read(b"\n") if self._rest else []

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


class _Backlog:
    """The last rows of all logs, passed on sorted by time; later rows pass at once.

    Args:
        on_rows: Called with rows.
        wait: Seconds to collect rows after the first one; None collects until :meth:`flush`.
    """

    def __init__(self, on_rows: Callable[[Sequence[LogRow]], object], wait: float | None) -> None:
        self._on_rows = on_rows
        self._wait = wait
        self._rows: list[tuple[float, LogRow]] | None = None
        self._is_over = False
        self._instants: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, rows: Sequence[LogRow]) -> None:
        """Add rows of one server; thread-safe."""
        with self._lock:
            if self._is_over and rows:
                self._on_rows(rows)
            elif rows:
                self._collect(rows)

    def _collect(self, rows: Sequence[LogRow]) -> None:
        if self._rows is None:
            self._rows = []
            if self._wait is not None:
                timer = threading.Timer(self._wait, self.flush)
                timer.daemon = True
                timer.start()
        for row in rows:
            # A row without a time stays behind the one before it.
            instant = row.instant or self._instants.get(row.server, 0.0)
            self._instants[row.server] = instant
            self._rows.append((instant, row))

    def flush(self) -> None:
        """Pass on what was collected; later rows are not held back."""
        with self._lock:
            rows, self._rows, self._is_over = self._rows, None, True
            if rows:
                self._on_rows([row for _, row in sorted(rows, key=lambda each: each[0])])


class LogTail:
    """The logs of all servers of a deployment: the last lines sorted by time, then new ones.

    Args:
        deployment: The open deployment.
        asker: Asks for host keys and secrets.
        on_rows: Called with new rows, from several threads.
        on_failure: Called with a server's label and why its logs cannot be read, likewise.
        on_end: Called once the logs of all servers have ended.
        follows: Whether to wait for new lines until :meth:`stop`.
        lines: The number of lines to read from the end of each log.
    """

    def __init__(
        self,
        deployment: Deployment,
        asker: OperatorAsker,
        on_rows: Callable[[Sequence[LogRow]], object],
        on_failure: Callable[[str, MoorageError], object],
        *,
        on_end: Callable[[], object] = lambda: None,
        follows: bool = True,
        lines: int = LINES,
    ) -> None:
        self._deployment = deployment
        self._asker = asker
        self._backlog = _Backlog(on_rows, _BACKLOG_SECONDS if follows else None)
        self._on_failure = on_failure
        self._on_end = on_end
        self._follows = follows
        self._lines = lines
        self._open = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start reading, with a thread for each server."""
        servers = self._deployment.chosen_servers
        self._open = len(servers)
        for server in servers:
            threading.Thread(target=self._run, args=(server,), daemon=True).start()

    def stop(self) -> None:
        """Stop reading; the script on a server ends with its connection."""
        self._deployment.cancel.set()

    def _run(self, server: Server) -> None:
        cancel = self._deployment.cancel
        try:
            self._read(server)
        except MoorageError as error:
            self._asker.forget_refused(error)
            if not cancel.is_set:
                self._on_failure(server.host, error)
        finally:
            with self._lock:
                self._open -= 1
                is_last = not self._open
            if is_last:
                self._backlog.flush()
                self._on_end()

    def _read(self, server: Server) -> None:
        reader = LineReader(server.host)
        transport = self._deployment.connection_to(server)
        try:
            transport.connect()
            ended = transport.run(
                shell_script("logs.sh"),
                payload=f"{'follow' if self._follows else 'once'}\n{self._lines}\n".encode(),
                on_stdout=lambda data: self._backlog.add(reader.read(data)),
                # Standard input stays open while following, and ends with the connection.
                on_start=(lambda exchange: None) if self._follows else None,
                timeout=None if self._follows else _TIMEOUT,
                cancel=self._deployment.cancel,
            )
            self._backlog.add(reader.end())
        finally:
            transport.close()
        if ended.exit_status:
            raise CannotConnect("The logs cannot be read.", server=server.host, code="logs_failed")
