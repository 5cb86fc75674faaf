"""Read files on the operator's machine, whatever a path turns out to name.

Paths come from answers, arguments and the wizard's fields. The only special files that are read are
``/dev/null``, which is empty, and pipes where a command takes them, as in
``moorage plan <(sops -d moorage.yml)``.
"""

from __future__ import annotations

import os
import selectors
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from moorage.errors import ExitCode, MoorageError, Problem
from moorage.escape import printable

MEBIBYTE = 1024**2
PIPE_TIMEOUT = 30.0
"""Seconds to wait for the program at the other end of a pipe."""

_CHUNK = 64 * 1024
_SPECIAL = {
    stat.S_IFDIR: ("is a directory", "Use a file in it."),
    stat.S_IFIFO: ("is a pipe", "Save its content in a file, because Moorage reads it repeatedly."),
    stat.S_IFSOCK: ("is a socket", "Use a regular file."),
    stat.S_IFCHR: ("is a device", "Use a regular file."),
    stat.S_IFBLK: ("is a device", "Use a regular file."),
}


class LocalFileError(MoorageError):
    """A file on the operator's machine cannot be used.

    Attributes:
        subject: What the file is, and its path: ``key ~/.ssh/id``.
        clause: The message and the advice as shown beside a field, without a final full stop.

    Args:
        name: Its path, as the operator gave it.
        fault: What is wrong with it, as a predicate: ``is a directory``.
        what: What the file is, after "the": ``answers file``.
        advice: What to do about it; may be empty.
        code: A stable identifier for scripts.
        is_missing: Whether nothing is at the path.
    """

    exit_code = ExitCode.USAGE
    code = "cannot_read"

    def __init__(
        self,
        name: str | Path,
        fault: str,
        what: str = "file",
        *,
        advice: str = "",
        code: str | None = None,
        is_missing: bool = False,
    ) -> None:
        self.subject = f"{what} {printable(str(name))}"
        self.fault = fault
        self.is_missing = is_missing
        clauses = (f"the {self.subject} {fault}", advice[:1].lower() + advice[1:].rstrip("."))
        self.clause = "; ".join(filter(None, clauses))
        super().__init__(f"The {self.subject} {fault}.", advice=advice, code=code)

    def problem(self, path: tuple[str | int, ...]) -> Problem:
        """Return the error as a problem of the field of the answers that names the file."""
        return Problem(path, self.clause, code=self.code)


def expand(name: str | Path, what: str = "file") -> Path:
    """Return a path with ``~`` and ``~user`` replaced by the home folder.

    Args:
        name: The path.
        what: What the file is, for the error.

    Raises:
        LocalFileError: No file can have this path.
    """
    text = str(name)
    expanded = os.path.expanduser(text)  # noqa: PTH111  # leaves an unknown user as it is
    fault, advice = "", "Write the whole path."
    if "\0" in text:
        fault, advice = "cannot exist: its path contains a NUL character", "Remove it."
    elif any("\ud800" <= each <= "\udbff" for each in text):
        fault, advice = "cannot exist: its path is not valid Unicode", ""
    elif expanded == "~" or expanded.startswith("~/"):
        fault = "cannot be found: this account has no home folder"
    elif expanded.startswith("~"):
        account = printable(expanded[1:].partition("/")[0])
        fault = f"cannot be found: this machine has no account {account}"
    if fault:
        raise LocalFileError(name, fault, what, advice=advice, is_missing=True)
    return Path(expanded)


def read_file(
    name: str | Path, what: str = "file", *, largest: int = MEBIBYTE, pipes: bool = False
) -> bytes:
    """Return the content of a file.

    Args:
        name: Its path.
        what: What the file is, for the error.
        largest: The maximum size, in bytes.
        pipes: Whether it can be a pipe.

    Raises:
        LocalFileError: It cannot be read, or is larger.
    """
    content = read_start(name, what, size=largest + 1, pipes=pipes)
    if len(content) > largest:
        raise LocalFileError(
            name, f"is larger than {largest // MEBIBYTE} MiB", what, code="file_too_large"
        )
    return content


def read_text(name: str | Path, what: str = "file", *, largest: int = MEBIBYTE) -> str:
    """Return the content of a text file; see :func:`read_file`.

    Raises:
        LocalFileError: It cannot be read, is larger, or is not UTF-8.
    """
    content = read_file(name, what, largest=largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LocalFileError(
            name, f"is not UTF-8 in line {line}", what, advice="Save it as UTF-8."
        ) from None


def read_start(name: str | Path, what: str = "file", *, size: int, pipes: bool = False) -> bytes:
    """Return the beginning of a file, or all of it if it is not larger.

    Args:
        name: Its path.
        what: What the file is, for the error.
        size: The number of bytes.
        pipes: Whether it can be a pipe.

    Raises:
        LocalFileError: It cannot be read.
    """
    with _errors_of(name, what):
        descriptor = _open(name, what, pipes)
        try:
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                return _read_pipe(name, what, descriptor, size)
            content = bytearray()
            while len(content) < size:
                chunk = os.read(descriptor, min(_CHUNK, size - len(content)))
                if not chunk:
                    break
                content += chunk
            return bytes(content)
        finally:
            os.close(descriptor)


@contextmanager
def open_file(name: str | Path, what: str = "file") -> Iterator[BufferedReader]:
    """Open a regular file of any size.

    Args:
        name: Its path.
        what: What the file is, for the error.

    Raises:
        LocalFileError: It cannot be read.
    """
    with _errors_of(name, what), os.fdopen(_open(name, what), "rb") as stream:
        yield stream


def check_file(name: str | Path, what: str = "file", *, pipes: bool = False) -> None:
    """Check that a file can be read, without reading anything.

    Args:
        name: Its path.
        what: What the file is, for the error.
        pipes: Whether it can be a pipe; a pipe is not opened, because it can be read only once.

    Raises:
        LocalFileError: It cannot be read.
    """
    with _errors_of(name, what):
        if not (pipes and expand(name, what).is_fifo()):
            os.close(_open(name, what))


def read_pipe(descriptor: int, size: int, deadline: float) -> bytes:
    """Read a pipe to its end, or its first bytes.

    Programs can keep a pipe open without writing anything.

    Args:
        descriptor: The pipe.
        size: The maximum number of bytes.
        deadline: When to give up, in the time of ``time.monotonic``.

    Raises:
        TimeoutError: The deadline has passed.
    """
    content = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while len(content) < size:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            chunk = os.read(descriptor, min(_CHUNK, size - len(content)))
            if not chunk:
                break
            content += chunk
    return bytes(content)


def _read_pipe(name: str | Path, what: str, descriptor: int, size: int) -> bytes:
    try:
        return read_pipe(descriptor, size, time.monotonic() + PIPE_TIMEOUT)
    except TimeoutError:
        fault = f"is a pipe that no program finished writing to within {PIPE_TIMEOUT:g} seconds"
        raise LocalFileError(name, fault, what) from None


def _open(name: str | Path, what: str, pipes: bool = False) -> int:
    path = expand(name, what)
    # Opening a device can do something; a pipe would block without O_NONBLOCK.
    _check_kind(name, what, path.stat(), pipes)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except PermissionError as error:
        advice = f"Make it readable for {_account()}."
        raise LocalFileError(name, _fault(error), what, advice=advice) from None
    try:
        _check_kind(name, what, os.fstat(descriptor), pipes)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_kind(name: str | Path, what: str, status: os.stat_result, pipes: bool) -> None:
    """Raise LocalFileError unless it is a regular file, an allowed pipe, or ``/dev/null``."""
    special = _SPECIAL.get(stat.S_IFMT(status.st_mode))
    if special is None or (pipes and stat.S_ISFIFO(status.st_mode)):
        return
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == Path(os.devnull).stat().st_rdev:
        return
    fault, advice = special
    raise LocalFileError(name, fault, what, advice=advice)


def file_fault(name: str | Path, what: str = "file") -> str:
    """Return why a file cannot be read, as shown beside a field; empty if it can.

    Args:
        name: Its path.
        what: What the file is.
    """
    try:
        check_file(name, what)
    except LocalFileError as error:
        return error.clause
    return ""


@contextmanager
def _errors_of(name: str | Path, what: str) -> Iterator[None]:
    """Turn errors of the system into a LocalFileError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LocalFileError(
            name, _fault(error), what, advice=_what_is_missing(name), is_missing=True
        ) from None
    except PermissionError as error:
        advice = f"One of its folders does not let {_account()} in."
        raise LocalFileError(name, _fault(error), what, advice=advice) from None
    except OSError as error:
        raise LocalFileError(name, _fault(error), what) from None


def _fault(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or 'unknown').lower()}"


def _what_is_missing(name: str | Path) -> str:
    """Return the first part of a path that does not exist, as a sentence."""
    path = expand(name).absolute()
    if path.is_symlink():
        return f"It is a symbolic link to {printable(str(path.readlink()))}."
    for folder in path.parents:
        if not os.path.lexists(folder):
            continue
        there = printable(str(folder))
        if not folder.is_dir():
            return f"{there} is not a directory."
        return f"{there} has no {printable(path.relative_to(folder).parts[0])}."
    return ""


def _account() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"
