"""Log unexpected errors with a traceback and return a short message for the user."""

from __future__ import annotations

import datetime
import os
import platform
import traceback
from pathlib import Path

from moorage import __version__
from moorage.answers.redact import Redactor
from moorage.errors import MoorageError
from moorage.state import private_folder, write_private


def record(error: BaseException, redactor: Redactor | None = None) -> MoorageError:
    """Write an unexpected error to its own log file and return a message for the user.

    Args:
        error: The exception.
        redactor: Removes secrets from the traceback.
    """
    text = "".join(traceback.format_exception(error))
    if redactor is not None:
        text = redactor.redact(text)
    path = _write(text)
    where = f"Details are in {path}." if path else "The log file could not be written."
    return MoorageError(
        f"unexpected error ({type(error).__name__}).",
        advice=f"{where} Your draft is kept, and it is safe to try again.",
        code="unexpected",
    )


def _write(text: str) -> Path | None:
    now = datetime.datetime.now(datetime.UTC)
    python = platform.python_version()
    head = f"{now:%Y-%m-%d %H:%M:%S} UTC, Moorage {__version__}, Python {python}\n\n"
    try:
        path = private_folder("logs") / f"{now:%Y%m%d-%H%M%S}-{os.getpid()}.log"
        write_private(path, (head + text).encode("utf-8", "backslashreplace"))
    except OSError:
        return None
    return path
