"""Read and follow the logs of a deployment: the registry's journal and nginx's logs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from moorage.deploy.logs.rows import LogRow
from moorage.deploy.logs.stream import LogStream
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
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds to wait before each attempt to connect again."""
_LONGEST_PAUSE = 30.0
"""Seconds to wait after those."""
_MOST_REFUSALS = 4
"""Logins in a row that the server can refuse."""
_LASTING = {
    "host_key_changed", "host_key_unknown", "passphrase_wrong", "sudo_password_wrong",
    "sudo_password_missing", "sudo_not_allowed", "sudo_missing",
}  # fmt: skip
"""Errors that another attempt does not solve."""


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

    While it follows, a connection that is lost is opened again, and each line is read once.

    Args:
        deployment: The open deployment.
        asker: Asks for host keys and secrets.
        on_rows: Called with new rows, from several threads.
        on_failure: Called with a server's label and why its logs cannot be read, likewise.
        on_notice: Called with a server's label and what became of its connection, likewise.
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
        on_notice: Callable[[str, str], object] = lambda server, text: None,
        on_end: Callable[[], object] = lambda: None,
        follows: bool = True,
        lines: int = LINES,
    ) -> None:
        self._deployment = deployment
        self._asker = asker
        self._backlog = _Backlog(on_rows, _BACKLOG_SECONDS if follows else None)
        self._on_failure = on_failure
        self._on_notice = on_notice
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
            if self._follows:
                self._follow(server)
            else:
                self._read(server, LogStream(server.host))
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

    def _follow(self, server: Server) -> None:
        """Read the logs of a server, and connect again whenever the connection is lost."""
        cancel, stream = self._deployment.cancel, LogStream(server.host)
        has_begun = False
        lost_at: float | None = None
        pauses, refusals = iter(_PAUSES), 0

        def begin() -> None:
            nonlocal has_begun, lost_at, pauses, refusals
            if lost_at is not None:
                seconds = time.monotonic() - lost_at
                self._on_notice(server.host, f"Reconnected after {seconds:.0f} s.")
            has_begun, lost_at, pauses, refusals = True, None, iter(_PAUSES), 0

        while True:
            try:
                self._read(server, stream, begin)
                return
            except CannotConnect as error:
                # A server that is starting refuses logins for a while.
                refusals += error.code == "login_refused"
                is_lasting = error.code in _LASTING or refusals > _MOST_REFUSALS
                if not has_begun or cancel.is_set or is_lasting:
                    raise
                if lost_at is None:
                    lost_at = time.monotonic()
                    self._on_notice(server.host, f"{error.message} Reconnecting…")
            if cancel.event.wait(next(pauses, _LONGEST_PAUSE)):
                return

    def _read(
        self, server: Server, stream: LogStream, on_begin: Callable[[], object] = lambda: None
    ) -> None:
        def take(data: bytes) -> None:
            had_begun = stream.has_begun
            rows = stream.read(data)
            if stream.has_begun and not had_begun:
                on_begin()
            self._backlog.add(rows)
            if stream.has_gap:
                stream.has_gap = False
                self._on_notice(server.host, "Some lines are missing: a log was rotated twice.")

        places = stream.begin()
        transport = self._deployment.connection_to(server)
        try:
            transport.connect()
            ended = transport.run(
                shell_script("logs.sh"),
                payload=(
                    f"{'follow' if self._follows else 'once'}\n{self._lines}\n{places}"
                ).encode(),
                on_stdout=take,
                # Standard input stays open while following, and ends with the connection.
                on_start=(lambda exchange: None) if self._follows else None,
                timeout=None if self._follows else _TIMEOUT,
                cancel=self._deployment.cancel,
            )
            if not self._follows:
                self._backlog.add(stream.end())
        finally:
            self._deployment.release(transport)
        if ended.exit_status:
            raise CannotConnect("The logs cannot be read.", server=server.host, code="logs_failed")
