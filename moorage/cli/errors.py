"""Print errors: once, as one paragraph, never as a traceback."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.exceptions import NoArgsIsHelpError

from moorage import __version__
from moorage.cli.output import Output, Piece
from moorage.errors import (
    AnswersError,
    CannotConnect,
    ExitCode,
    MoorageError,
    Note,
    ServersFailed,
    ServersNotNamed,
)

_MOST_LOGS = 20
ANOTHER_KEY = "Choose another key with --key (for --server) or servers[].key in the answers."
"""Advice for a login that refuses all keys."""
FIRST_WORDS = {"a", "failover", "it", "none", "nothing", "reading", "the", "this", "unexpected"}
"""Words that begin a message in lower case, since most follow the name of a server."""
_OPTIONS = {
    "host_key_unknown": "Or pass it to --accept-host-key.",
    "login_refused": ANOTHER_KEY,
    "transfers_in_the_way": "--end-transfers cuts them off.",
}
"""Advice that only applies to the command line, by code of the error or note."""


class WrongUsageError(MoorageError):
    """The command was used incorrectly."""

    exit_code = ExitCode.USAGE
    code = "usage"


class WasInterruptedError(MoorageError):
    """The operator pressed Ctrl-C, or the process received SIGTERM."""

    exit_code = ExitCode.INTERRUPTED
    code = "interrupted"


@contextmanager
def before_any_change() -> Iterator[None]:
    """Ask in here before any server is changed: Ctrl-C then says that none was.

    Raises:
        WasInterruptedError: Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise WasInterruptedError("Interrupted. No server was changed.") from error


def report_error(output: Output, error: BaseException) -> ExitCode:
    """Print an error and return the exit code.

    Args:
        output: The output.
        error: The error that ended the command.
    """
    reported = _as_moorage_error(output, error)
    if output.as_json:
        output.emit(
            ({"event": "result"} if output.is_stream else {})
            | {"exit_code": int(reported.exit_code), "error": as_json(reported)}
        )
    else:
        for paragraph in _paragraphs(reported):
            output.message(*paragraph)
    return reported.exit_code


def explain(error: MoorageError | Note) -> str:
    """Return an error's or note's message and advice, with the keys of the answers file.

    Args:
        error: The error (the text leaves out its server) or the note.
    """
    return " ".join(filter(None, (error.explain(), _option_for(error))))


def guide(error: MoorageError) -> str:
    """Return the advice of an error, with the keys of the answers file; can be empty.

    Args:
        error: The error.
    """
    return " ".join(filter(None, (error.guide(), _option_for(error))))


def _option_for(error: MoorageError | Note) -> str:
    if isinstance(error, CannotConnect) and not error.may_need_key:
        return ""
    return _OPTIONS.get(error.code, "")


def as_json(error: MoorageError) -> dict[str, object]:
    """Return an error as JSON values.

    Args:
        error: The error; the value lists several problems or servers.
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


def _as_moorage_error(output: Output, error: BaseException) -> MoorageError:
    if isinstance(error, ServersFailed) and len(error.errors) == 1:
        return _as_moorage_error(output, error.errors[0])
    if isinstance(error, MoorageError):
        return error
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "moorage"
        return WrongUsageError(_wrong_usage(error), advice=f"See '{command} --help'.")
    if isinstance(error, click.ClickException):
        return WrongUsageError(error.format_message())
    if isinstance(error, KeyboardInterrupt | click.Abort | EOFError):
        return WasInterruptedError("Interrupted.")
    return _unexpected(output, error)


def _wrong_usage(error: click.UsageError) -> str:
    if isinstance(error, NoArgsIsHelpError) and isinstance(error.ctx.command, click.Group):
        names = ", ".join(error.ctx.command.list_commands(error.ctx))
        return f"'{error.ctx.command_path}' needs one of its commands: {names}."
    return error.format_message()


def _unexpected(output: Output, error: BaseException) -> MoorageError:
    text = "".join(traceback.format_exception(error))
    kind = type(error).__name__
    try:
        path = _write_log(output.redact(text))
    except OSError as problem:
        return MoorageError(
            f"Internal error in Moorage ({kind}). Its log could not be written: "
            f"{problem.strerror}.",
            code="unexpected",
        )
    return MoorageError(
        f"Internal error in Moorage ({kind}). The log is {path}.",
        advice="This is a bug: please report it with that file.",
        code="unexpected",
    )


def _write_log(text: str) -> Path:
    from moorage.state import private_folder, write_private

    folder = private_folder("logs")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = folder / f"error-{stamp}-{time.time_ns() % 10**6:06d}.log"
    head = f"moorage {__version__}, python {sys.version.split()[0]}, {sys.platform}\n\n"
    write_private(path, (head + text).encode("utf-8", "backslashreplace"))
    for old in sorted(folder.glob("error-*.log"))[:-_MOST_LOGS]:
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
    text = explain(error)
    if error.server:
        text = f"{error.server}: {text}"
    elif text.partition(" ")[0] in FIRST_WORDS:
        text = text[:1].upper() + text[1:]
    return [[("Error: ", "bold red"), text]]
