"""Run programs, and identify processes even when process IDs are reused."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError


def run_program(
    arguments: Sequence[str | Path],
    *,
    stdin: str | None = None,
    check: bool = True,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program on this machine and collect its output.

    Args:
        arguments: The program and its arguments.
        stdin: Its standard input; empty when None.
        check: Raise when its exit status is not 0.
        timeout: Seconds until it is killed.
        environment: Additional environment variables.

    Returns:
        The finished process with stdout and stderr as text.

    Raises:
        LabError: It is missing, failed (with `check`) or took too long.
    """
    words = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(
            words,
            check=False,
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, **environment} if environment else None,
        )
    except FileNotFoundError as error:
        raise LabError(f"{words[0]} is not installed; run `python -m lab setup`") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"did not end within {timeout} s: {' '.join(words)}") from error
    if check and done.returncode != 0:
        output = (done.stderr or done.stdout).strip()[-2000:]
        raise LabError(f"{' '.join(words)} ended with {done.returncode}: {output}")
    return done


@dataclass(frozen=True)
class ProcessIdentity:
    """A process ID and its start time, because IDs are reused."""

    pid: int
    started: int
    """Clock ticks since boot (field 22 of /proc/PID/stat)."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Look up a running process.

        Args:
            pid: Its ID.

        Returns:
            Its identity, or None when it does not exist or is a zombie.
        """
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # The second field is the program's name in parentheses, which can contain spaces.
        fields = text.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]))

    @classmethod
    def own(cls) -> ProcessIdentity:
        """Return the identity of this process."""
        identity = cls.of(os.getpid())
        assert identity is not None, "a running process finds itself in /proc"
        return identity

    def is_alive(self) -> bool:
        """Return whether the process is still running."""
        return ProcessIdentity.of(self.pid) == self

    def kill(self) -> None:
        """Kill the process if it is still running."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """List a process's direct children.

    Args:
        pid: The parent's ID.

    Returns:
        The IDs of its children; empty when it no longer exists.
    """
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in listing.read_text(encoding="utf-8").split()]
        except OSError:
            continue
    return found
