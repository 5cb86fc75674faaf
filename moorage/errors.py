"""Everything that can go wrong, in words for the operator, and the exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process exits with. Documented in docs/command-line.md."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3
    CANNOT_CONNECT = 4
    PARTLY_DONE = 5
    INTERRUPTED = 130


class MoorageError(Exception):
    """A problem the operator can understand and act on.

    Attributes:
        message: What happened and why, one sentence or two, without the server's name.
        advice: What to do about it; may be empty.
        server: The server's label (its host as in the answers), or None.
        code: A stable identifier for scripts, for example ``port_taken``.
        exit_code: What a command that ends with this error exits with.
    """

    exit_code = ExitCode.FAILED
    code = "failed"

    def __init__(
        self, message: str, *, advice: str = "", server: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.server = server
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        prefix = f"{self.server}: " if self.server else ""
        return f"{prefix}{self.message}" + (f" {self.advice}" if self.advice else "")


class AnswersError(MoorageError):
    """The answers are wrong or incomplete; all problems at once, see :class:`Problem`."""

    exit_code = ExitCode.USAGE
    code = "answers_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Problem:
    """One thing that is wrong in the answers.

    Attributes:
        path: Where, as keys and indexes, for example ``("servers", 0, "host")``.
        message: What is wrong and what would be right.
        file: The answers file, or None when there is none.
        line: Line in the file, from 1, or None.
        column: Column in the file, from 1, or None.
    """

    def __init__(
        self,
        path: tuple[str | int, ...],
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.path = path
        self.message = message
        self.file = file
        self.line = line
        self.column = column

    @property
    def dotted(self) -> str:
        """The path as people write it: ``servers[0].host``."""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
        return text

    def __str__(self) -> str:
        place = ""
        if self.file is not None:
            place = self.file
            if self.line is not None:
                place += f":{self.line}:{self.column or 1}"
            place += ": "
        where = f"{self.dotted}: " if self.path else ""
        return f"{place}{where}{self.message}"


class CannotConnect(MoorageError):
    """A server cannot be reached, does not prove who it is, or refuses the login.

    Attributes:
        refused: The secret that was not taken, as it was asked for; empty when none was refused.
    """

    exit_code = ExitCode.CANNOT_CONNECT
    code = "cannot_connect"

    def __init__(
        self,
        message: str,
        *,
        advice: str = "",
        server: str | None = None,
        code: str | None = None,
        refused: str = "",
    ) -> None:
        super().__init__(message, advice=advice, server=server, code=code)
        self.refused = refused


class SudoRefused(CannotConnect):
    """The login works, becoming root does not."""

    code = "sudo_refused"


class SecretUnavailable(MoorageError):
    """A secret reference leads nowhere: unset variable, missing file, failing command."""

    exit_code = ExitCode.USAGE
    code = "secret_unavailable"


class ServersNotNamed(MoorageError):
    """Servers are recorded that the operator did not name, and nobody can be asked.

    Attributes:
        servers: Those servers, as ``--server`` takes them.
    """

    exit_code = ExitCode.USAGE
    code = "servers_not_named"

    def __init__(self, message: str, *, advice: str, servers: Sequence[str]) -> None:
        super().__init__(message, advice=advice)
        self.servers = tuple(servers)


class ServersFailed(MoorageError):
    """Several servers failed, each with an error of its own.

    Attributes:
        errors: One error per failed server.
    """

    code = "servers_failed"

    def __init__(self, errors: Sequence[MoorageError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))
        codes = {error.exit_code for error in self.errors}
        self.exit_code = codes.pop() if len(codes) == 1 else ExitCode.FAILED
