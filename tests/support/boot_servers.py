"""The type of the fixture that boots servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lab import LabServer


class BootServers(Protocol):
    """Boots fresh servers that end with the test."""

    def __call__(
        self,
        count: int = 1,
        *,
        suite: str = "bookworm",
        variant: str = ...,
        extra: Sequence[str] | None = None,
        names: Sequence[str] = (),
    ) -> list[LabServer]:
        """Boot servers side by side.

        Args:
            count: How many, named server1, server2, ...
            suite: bookworm or trixie.
            variant: bare, ready or client; bare unless the test is marked otherwise.
            extra: More packages in the image; those that the mark names when None.
            names: Their hostnames, instead of a count.
        """
