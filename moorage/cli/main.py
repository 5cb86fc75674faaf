"""How ``moorage`` begins and ends."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from moorage.cli.session import Session
from moorage.cli.terminal import has_terminal
from moorage.errors import ExitCode

_GARBAGE_THRESHOLD = 200_000
"""New objects before Python collects garbage. Imports create nearly as many, and all stay."""


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
    gc.set_threshold(_GARBAGE_THRESHOLD)
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
    # Leaves nothing for the garbage collection that Python runs on exit.
    gc.freeze()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return what to exit with; every error is printed here."""
    words = list(arguments)
    # Wrong usage is reported in JSON, too, and that is before the options have been read.
    options = words[: words.index("--")] if "--" in words else words
    session = Session(as_json="--json" in options)
    try:
        if not words and has_terminal():
            # The wizard does not wait for what reads commands.
            from tui.app import run_wizard

            return run_wizard()
        from moorage.cli.commands import moorage

        result = moorage.main(words, prog_name="moorage", standalone_mode=False, obj=session)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.FAILED
    except BaseException as error:  # nothing reaches people as a traceback
        from moorage.cli.errors import complain

        return complain(session, error)
    return int(result or ExitCode.DONE)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat being told to stop as Ctrl-C."""
    raise KeyboardInterrupt


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
