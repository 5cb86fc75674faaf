"""What nobody foresaw: to a log file with its traceback, to people in one sentence."""

from __future__ import annotations

import datetime
import os
import platform
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from moorage.answers.redact import Redactor
from moorage.errors import MoorageError
from moorage.state import private_folder, write_private


def record(error: BaseException, redactor: Redactor | None = None) -> MoorageError:
    """Write an unexpected error to a log file of its own and return it in words for people.

    Args:
        error: What was raised.
        redactor: Takes secrets out of the traceback.
    """
    text = "".join(traceback.format_exception(error))
    if redactor is not None:
        text = redactor.redact(text)
    path = _write(text)
    where = f"The details are in {path}." if path else "No log file could be written."
    return MoorageError(
        f"something unexpected went wrong ({type(error).__name__}).",
        hint=f"{where} The draft is kept; trying again does no harm.",
        code="unexpected",
    )


def _write(text: str) -> Path | None:
    now = datetime.datetime.now(datetime.UTC)
    try:
        own = version("moorage")
    except PackageNotFoundError:
        own = "unknown"
    head = f"{now:%Y-%m-%d %H:%M:%S} UTC, Moorage {own}, Python {platform.python_version()}\n\n"
    try:
        path = private_folder("logs") / f"{now:%Y%m%d-%H%M%S}-{os.getpid()}.log"
        write_private(path, (head + text).encode("utf-8", "backslashreplace"))
    except OSError:
        return None
    return path
