"""Show the rows of logs."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.cli.errors import as_json, explain
from moorage.cli.output import Output
from moorage.deploy.logs.rows import Level, LogFilter, LogRow
from moorage.errors import ExitCode, MoorageError

_STYLES = {Level.ROUTINE: "dim", Level.WARNING: "yellow", Level.ERROR: "red"}


@dataclass(frozen=True)
class _Notice:
    server: str
    text: str


class LogsView:
    """Prints rows that arrive from several threads.

    Args:
        output: The output.
        shown: Which rows to print.
        has_servers: Whether each row begins with its server's label.
    """

    def __init__(self, output: Output, shown: LogFilter, has_servers: bool) -> None:
        self._output = output
        self._shown = shown
        self._has_servers = has_servers
        self._has_lines = self._has_printed = False
        # None means that all logs have ended.
        self._arrived: queue.SimpleQueue[Sequence[LogRow] | MoorageError | _Notice | None] = (
            queue.SimpleQueue()
        )

    def add(self, rows: Sequence[LogRow]) -> None:
        """Add rows; thread-safe."""
        self._arrived.put(rows)

    def fail(self, server: str, error: MoorageError) -> None:
        """Add why a server's logs cannot be read; thread-safe."""
        error.server = error.server or server
        self._arrived.put(error)

    def note(self, server: str, text: str) -> None:
        """Add what became of a server's connection; thread-safe."""
        self._arrived.put(_Notice(server, text))

    def end(self) -> None:
        """Say that all logs have ended; thread-safe."""
        self._arrived.put(None)

    def show(self) -> ExitCode:
        """Print rows until all logs have ended; returns the command's exit code."""
        code = ExitCode.DONE
        while (arrived := self._arrived.get()) is not None:
            if isinstance(arrived, MoorageError):
                code = arrived.exit_code
                self._print_error(arrived)
            elif isinstance(arrived, _Notice):
                self._print_notice(arrived)
            else:
                self._print(arrived)
        if not self._has_printed and code is ExitCode.DONE and not self._output.as_json:
            self._output.message("No lines match." if self._has_lines else "The logs are empty.")
        return code

    def _print(self, rows: Sequence[LogRow]) -> None:
        self._has_lines = self._has_lines or bool(rows)
        for row in filter(self._shown.shows, rows):
            self._has_printed = True
            if self._output.as_json:
                self._output.emit(row.as_json())
                continue
            prefix = (f"{row.server}: ", "dim") if self._has_servers else ""
            self._output.data(prefix, (row.text, _STYLES.get(row.level, "")))

    def _print_notice(self, notice: _Notice) -> None:
        if self._output.as_json:
            self._output.emit({"server": notice.server, "notice": notice.text})
        else:
            self._output.message((f"{notice.server}: ", "bold"), notice.text)

    def _print_error(self, error: MoorageError) -> None:
        if self._output.as_json:
            self._output.emit({"server": error.server, "error": as_json(error)})
        else:
            self._output.message((f"{error.server}: ", "bold"), explain(error))
