"""The type of the fixture that boots servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lab import LabServer
from lab.snapshots import Snapshot


class BootServers(Protocol):
    """Boots fresh servers and removes them after the test."""

    def __call__(
        self,
        count: int = 1,
        *,
        suite: str = "bookworm",
        variant: str = ...,
        extra: Sequence[str] | None = None,
        names: Sequence[str] = (),
        snapshot: Snapshot | None = None,
    ) -> list[LabServer]:
        """Boot servers side by side.

        Args:
            count: The number of servers, named server1, server2, ...
            suite: bookworm or trixie.
            variant: bare, ready or client; bare unless the test is marked otherwise.
            extra: Additional packages; those of the test's mark when None.
            names: Their hostnames, instead of a count.
            snapshot: Boot copies of it instead of an image.
        """
