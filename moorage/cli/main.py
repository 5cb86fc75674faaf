"""The entry point of ``moorage``."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from moorage.cli.output import Output
from moorage.cli.terminal import has_terminal
from moorage.errors import ExitCode

_GARBAGE_THRESHOLD = 200_000
"""New objects before a garbage collection. Imports create almost as many, and keep them all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The arguments after ``moorage``; None uses this process's and exits afterwards.

    Returns:
        The exit code; see :class:`moorage.errors.ExitCode`.
    """
    if arguments is not None:
        return run(arguments)
    gc.set_threshold(_GARBAGE_THRESHOLD)
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        # Escape characters that the terminal's encoding lacks instead of failing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    if code == ExitCode.INTERRUPTED:
        # Do not wait for threads that are still connected to a server.
        _flush()
        os._exit(code)
    # Saves time in the garbage collection that Python runs on exit.
    gc.freeze()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command, print its error if it fails, and return the exit code."""
    words = list(arguments)
    # Usage errors are JSON, too, but occur before click has parsed --json.
    options = words[: words.index("--")] if "--" in words else words
    output = Output(as_json="--json" in options)
    try:
        if not words and has_terminal():
            # Skip importing the commands: the wizard starts sooner.
            from tui.app import run_wizard

            return run_wizard()
        from moorage.cli.commands import moorage

        result = moorage.main(words, prog_name="moorage", standalone_mode=False, obj=output)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.FAILED
    except BaseException as error:  # users never see a traceback
        from moorage.cli.errors import report_error

        return report_error(output, error)
    return int(result or ExitCode.DONE)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat SIGTERM like Ctrl-C."""
    raise KeyboardInterrupt


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
