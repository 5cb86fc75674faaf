"""Errors the operator can understand and act on, and the exit codes.

::

    MoorageError               code, message, advice, fields, server
    ├── AnswersError           every problem in the answers, each a Problem
    ├── CannotConnect          a server is unreachable, unverified, or refuses the login
    │   ├── SudoRefused        the login works, sudo does not
    │   └── HungUpError        the server closed the connection (servers/ssh/dial.py)
    ├── SecretUnavailable      a reference to a secret cannot be resolved
    ├── DnsError               name servers and DNS providers (dns/lookup.py)
    ├── WrongUserError         a user name that does not fit (users/edits.py)
    ├── ServersNotNamed        recorded servers that the operator did not name
    ├── ServersFailed          several servers, each with an error of its own
    ├── WrongUsageError        the command line was called in a wrong way (cli/errors.py)
    └── WasInterruptedError    Ctrl-C (cli/errors.py)

Texts never contain paths in the answers. ``fields`` has them, and each face adds them under the
name the operator knows: the key in the file (``dns.nameservers``), or the label in the wizard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

FieldName = Callable[[str], str]
"""Returns the name of a field for display, given its dotted path; empty if it has none."""


def see(fields: Sequence[str], name_of: FieldName = str) -> str:
    """Return the sentence that points to fields: ``See dns.zone and dns.ttl.``; may be empty.

    Args:
        fields: Dotted paths in the answers; ``[]`` stands for any item of a list.
        name_of: Returns how the face calls a field.
    """
    names = _list_names(fields, name_of)
    return f"See {names}." if names else ""


def _list_names(fields: Sequence[str], name_of: FieldName) -> str:
    names = list(dict.fromkeys(filter(None, map(name_of, fields))))
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


@dataclass(frozen=True)
class Note:
    """Something the operator should know.

    Attributes:
        code: A stable identifier for scripts.
        text: What it is about.
        fields: The fields of the answers it is about, as dotted paths.
    """

    code: str
    text: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def explain(self, name_of: FieldName = str) -> str:
        """Return the text and where to look in the answers.

        Args:
            name_of: Returns how the face calls a field.
        """
        return " ".join(filter(None, (self.text, see(self.fields, name_of))))


class ExitCode(IntEnum):
    """The exit codes of the process. Documented in docs/command-line.md."""

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
        fields: The fields of the answers that the message or the advice is about, as dotted paths.
        server: The server's label (its host as in the answers), or None.
        code: A stable identifier for scripts, for example ``port_taken``.
        exit_code: What a command that ends with this error exits with.
    """

    exit_code = ExitCode.FAILED
    code = "failed"

    def __init__(
        self,
        message: str,
        *,
        advice: str = "",
        fields: Sequence[str] = (),
        server: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.fields = tuple(fields)
        self.server = server
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        prefix = f"{self.server}: " if self.server else ""
        return f"{prefix}{self.message}" + (f" {self.advice}" if self.advice else "")

    def guide(self, name_of: FieldName = str) -> str:
        """Return what to do, and where in the answers; may be empty.

        Args:
            name_of: Returns how the face calls a field.
        """
        return " ".join(filter(None, (self.advice, see(self.fields, name_of))))

    def explain(self, name_of: FieldName = str) -> str:
        """Return what happened and what to do, without the server's name.

        Args:
            name_of: Returns how the face calls a field.
        """
        return " ".join(filter(None, (self.message, self.guide(name_of))))


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
        code: A stable identifier for scripts, for example ``missing``.
        fields: Other fields of the answers that the message is about, as dotted paths.
        file: The answers file, or None when there is none.
        line: Line in the file, from 1, or None.
        column: Column in the file, from 1, or None.
    """

    def __init__(
        self,
        path: tuple[str | int, ...],
        message: str,
        *,
        code: str = "invalid",
        fields: Sequence[str] = (),
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.path = path
        self.message = message
        self.code = code
        self.fields = tuple(fields)
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
        return f"{place}{where}{self.explain()}"

    def explain(self, name_of: FieldName = str) -> str:
        """Return what is wrong and which other fields to look at, without the place.

        Args:
            name_of: Returns how the face calls a field.
        """
        names = _list_names(self.fields, name_of)
        return f"{self.message}; see {names}" if names else self.message


@dataclass(frozen=True, slots=True)
class SecretName:
    """The secret that the operator is asked for.

    Attributes:
        kind: The kind of secret, as its key in the answers: ``sudo_password``, ``passphrase``.
        owner: Whose it is, such as the account or the key file; empty if the answers name it.
        field: Its dotted path, if the answers say to ask for it.
    """

    kind: str
    owner: str = ""
    field: str = ""

    def __str__(self) -> str:
        return self.field or f"{self.label} of {self.owner}"

    @property
    def label(self) -> str:
        """The kind as shown in prompts: ``sudo password``."""
        return self.kind.replace("_", " ")

    def is_same(self, other: SecretName) -> bool:
        """Whether both mean the same secret of a server: the answers name it without an owner."""
        return self == other or (self.kind == other.kind and bool(self.field) != bool(other.field))


class CannotConnect(MoorageError):
    """A server cannot be reached, cannot be verified, or refuses the login.

    Attributes:
        refused: The secret that was not accepted, as it was asked for; None if none was refused.
        may_need_key: Whether another key may help.
    """

    exit_code = ExitCode.CANNOT_CONNECT
    code = "cannot_connect"

    def __init__(
        self,
        message: str,
        *,
        advice: str = "",
        fields: Sequence[str] = (),
        server: str | None = None,
        code: str | None = None,
        refused: SecretName | None = None,
        may_need_key: bool = True,
    ) -> None:
        super().__init__(message, advice=advice, fields=fields, server=server, code=code)
        self.refused = refused
        self.may_need_key = may_need_key


class SudoRefused(CannotConnect):
    """The login works, becoming root does not."""

    code = "sudo_refused"


class SecretUnavailable(MoorageError):
    """A secret reference cannot be resolved: unset variable, missing file, failing command."""

    exit_code = ExitCode.USAGE
    code = "secret_unavailable"


class ServersNotNamed(MoorageError):
    """Records name servers that the operator did not, and there is no terminal to ask.

    Attributes:
        servers: Those servers, as ``--server`` takes them.
    """

    exit_code = ExitCode.USAGE
    code = "servers_not_named"

    def __init__(self, message: str, *, advice: str, servers: Sequence[str]) -> None:
        super().__init__(message, advice=advice)
        self.servers = tuple(servers)


class ServersFailed(MoorageError):
    """Several servers failed; each has its own error.

    Attributes:
        errors: One error per failed server.
    """

    code = "servers_failed"

    def __init__(self, errors: Sequence[MoorageError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))
        codes = {error.exit_code for error in self.errors}
        self.exit_code = codes.pop() if len(codes) == 1 else ExitCode.FAILED
