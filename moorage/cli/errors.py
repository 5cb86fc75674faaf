"""How errors reach people: once, in one paragraph, and never as a traceback."""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

import click

from moorage import __version__
from moorage.cli.session import Piece, Session
from moorage.errors import (
    AnswersError,
    ExitCode,
    MoorageError,
    Note,
    ServersFailed,
    ServersNotNamed,
)

_LOGS_KEPT = 20
ANOTHER_KEY = "Another key is named with --key (for --server), or as servers[].key in the answers."
"""What to do where none of the keys opens a login."""
_OPTIONS = {
    "host_key_unknown": "Or give it to --accept-host-key.",
    "login_refused": ANOTHER_KEY,
    "transfers_in_the_way": "With --end-transfers, an apply cuts them off.",
}
"""What the command line offers besides an error's or a note's own advice, by code."""


class WrongUsageError(MoorageError):
    """The command was called in a way that cannot work."""

    exit_code = ExitCode.USAGE
    code = "usage"


class WasInterruptedError(MoorageError):
    """The operator pressed Ctrl-C, or the process was told to stop."""

    exit_code = ExitCode.INTERRUPTED
    code = "interrupted"


def complain(session: Session, error: BaseException) -> ExitCode:
    """Print an error and return what the process exits with.

    Args:
        session: The session.
        error: What ended the command.
    """
    known = _known(session, error)
    if session.as_json:
        session.emit(
            ({"event": "result"} if session.is_stream else {})
            | {"exit_code": int(known.exit_code), "error": as_json(known)}
        )
    else:
        for paragraph in _paragraphs(known):
            session.narrate(*paragraph)
    return known.exit_code


def explain(error: MoorageError | Note) -> str:
    """Return what an error or a note says and what to do, with the keys of the answers file.

    Args:
        error: The error, whose server is not in the text, or the note.
    """
    return " ".join(filter(None, (error.explain(), _OPTIONS.get(error.code, ""))))


def guide(error: MoorageError) -> str:
    """Return what to do about an error, with the keys of the answers file; may be empty.

    Args:
        error: The error.
    """
    return " ".join(filter(None, (error.guide(), _OPTIONS.get(error.code, ""))))


def as_json(error: MoorageError) -> dict[str, object]:
    """Return an error as JSON values.

    Args:
        error: The error; several problems or servers are listed in it.
    """
    value: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "advice": error.advice,
        "fields": list(error.fields),
        "server": error.server,
    }
    if isinstance(error, AnswersError):
        value["problems"] = [
            {
                "path": problem.dotted,
                "code": problem.code,
                "message": problem.message,
                "fields": list(problem.fields),
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
            }
            for problem in error.problems
        ]
    if isinstance(error, ServersNotNamed):
        value["servers"] = list(error.servers)
    if isinstance(error, ServersFailed):
        value["errors"] = [as_json(each) for each in error.errors]
    return value


def _known(session: Session, error: BaseException) -> MoorageError:
    if isinstance(error, ServersFailed) and len(error.errors) == 1:
        return _known(session, error.errors[0])
    if isinstance(error, MoorageError):
        return error
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "moorage"
        return WrongUsageError(
            error.format_message(), advice=f"'{command} --help' shows what it takes."
        )
    if isinstance(error, click.ClickException):
        return WrongUsageError(error.format_message())
    if isinstance(error, KeyboardInterrupt | click.Abort | EOFError):
        return WasInterruptedError("Interrupted.")
    return _unexpected(session, error)


def _unexpected(session: Session, error: BaseException) -> MoorageError:
    text = "".join(traceback.format_exception(error))
    kind = type(error).__name__
    try:
        path = _write_log(session.redact(text))
    except OSError as problem:
        return MoorageError(
            f"Something went wrong inside Moorage ({kind}), and the details could not be kept: "
            f"{problem.strerror}.",
            code="unexpected",
        )
    return MoorageError(
        f"Something went wrong inside Moorage ({kind}). The details are in {path}.",
        advice="This is a fault of Moorage; that file is what a report of it needs.",
        code="unexpected",
    )


def _write_log(text: str) -> Path:
    from moorage.state import private_folder, write_private

    folder = private_folder("logs")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = folder / f"error-{stamp}-{time.time_ns() % 10**6:06d}.log"
    head = f"moorage {__version__}, python {sys.version.split()[0]}, {sys.platform}\n\n"
    write_private(path, (head + text).encode("utf-8", "backslashreplace"))
    for old in sorted(folder.glob("error-*.log"))[:-_LOGS_KEPT]:
        old.unlink(missing_ok=True)
    return path


def _paragraphs(error: MoorageError) -> list[list[Piece]]:
    if isinstance(error, ServersFailed):
        return [paragraph for each in error.errors for paragraph in _paragraphs(each)]
    if isinstance(error, AnswersError):
        count = len(error.problems)
        title = "1 problem in the answers:" if count == 1 else f"{count} problems in the answers:"
        problems: list[list[Piece]] = [[f"  {each}"] for each in error.problems]
        return [[("Error: ", "bold red"), title], *problems]
    place = f"{error.server}: " if error.server else ""
    return [[("Error: ", "bold red"), f"{place}{explain(error)}"]]
