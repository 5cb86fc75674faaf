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
        variant: str = "bare",
        extra: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> list[LabServer]:
        """Boot servers side by side.

        Args:
            count: How many, named server1, server2, ...
            suite: bookworm or trixie.
            variant: bare or client.
            extra: More packages in the image.
            names: Their hostnames, instead of a count.
        """
