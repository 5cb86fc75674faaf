"""The command ``moorage``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from moorage import __version__
from moorage.cli.lazy import LazyCommand, LazyGroup
from moorage.cli.options import no_color_option, web_options
from moorage.cli.session import Session
from moorage.errors import ExitCode

_COMMANDS = {
    "validate": LazyCommand(
        "moorage.cli.validate", "Check an answers file, without touching any server."
    ),
    "plan": LazyCommand("moorage.cli.plan", "Show what an apply would change on each server."),
    "apply": LazyCommand("moorage.cli.apply", "Bring the servers to what the answers say."),
    "status": LazyCommand("moorage.cli.status", "Show what is deployed and how it is."),
    "verify": LazyCommand("moorage.cli.verify", "Check the registry from outside, as a client."),
    "users": LazyCommand("moorage.cli.users.group", "Manage who may log in to the registry."),
    "dns": LazyCommand("moorage.cli.dns", "Look at, make, undo and check the DNS records."),
    "failover": LazyCommand(
        "moorage.cli.failover", "Keep the name on the servers that work: here, or as a service."
    ),
    "certificate": LazyCommand(
        "moorage.cli.certificate", "Show the certificate clients see, or replace your own."
    ),
    "schema": LazyCommand("moorage.cli.schema", "Print the JSON Schema of the answers file."),
    "wizard": LazyCommand("moorage.cli.wizard", "Open the wizard.", hidden=True),
}

_EPILOG = """\b
Examples:
  moorage                                  the wizard
  moorage moorage.yml                      the wizard on these answers
  moorage --web                            the wizard in a browser, on this machine only
  moorage plan moorage.yml --diff          what would change, line by line
  moorage apply moorage.yml --yes          the same, done, in a script
  moorage status --server root@203.0.113.10
  moorage users add moorage.yml ana --access pull

\b
Exit codes: 0 done, 1 failed, 2 wrong usage or answers, 3 the plan has changes
(plan --detailed-exitcode), 4 cannot connect, 5 some servers done and some
not, 130 interrupted. docs/command-line.md has the details.
"""


class _Moorage(LazyGroup):
    lazy = _COMMANDS
    file_command = "wizard"


@click.group(
    cls=_Moorage,
    invoke_without_command=True,
    subcommand_metavar="[FILE | COMMAND ...]",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@no_color_option
@web_options
@click.version_option(__version__, prog_name="moorage", message="%(prog)s %(version)s")
@click.pass_context
def moorage(context: click.Context) -> None:
    """Install, secure and run a private Docker registry on your servers, over SSH.

    Without a command the wizard opens. Commands that take FILE read an answers file, which the
    wizard saves; validate, plan, status, verify and schema change nothing.
    """
    if context.invoked_subcommand is None:
        from moorage.cli.wizard import open_wizard

        context.exit(open_wizard(context.ensure_object(Session), None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after ``moorage``; this process's own when None, and then the process
            ends when they have been dealt with.

    Returns:
        What to exit with; see :class:`moorage.errors.ExitCode`.
    """
    if arguments is not None:
        return run(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show is no reason to end with a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    if code == ExitCode.INTERRUPTED:
        # Threads that still wait for a server do not keep the process.
        _flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return what to exit with; every error is printed here."""
    words = list(arguments)
    # Wrong usage is reported in JSON, too, and that is before the options have been read.
    options = words[: words.index("--")] if "--" in words else words
    session = Session(as_json="--json" in options)
    try:
        result = moorage.main(words, prog_name="moorage", standalone_mode=False, obj=session)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.FAILED
    except BaseException as error:  # nothing reaches people as a traceback
        from moorage.cli.complaints import complain

        return complain(session, error)
    return int(result or ExitCode.DONE)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat being told to stop as Ctrl-C."""
    raise KeyboardInterrupt


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
