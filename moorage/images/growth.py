"""The growth of the images, from the times at which what is stored now was written."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.images.tree import Tree

PERIOD = 30 * 24 * 3600.0
"""Seconds before now that count."""
_DAY = 24 * 3600.0
_LEAST = 2 * _DAY
"""Seconds of pushes that tell a rate, at least."""


@dataclass(frozen=True)
class Growth:
    """The growth over some time, without what was removed since.

    Attributes:
        size: Bytes written in that time that are still stored.
        seconds: The length of that time.
    """

    size: int
    seconds: float

    @property
    def days(self) -> int:
        """The same in days, rounded."""
        return round(self.seconds / _DAY)

    @property
    def per_day(self) -> float:
        """Bytes a day."""
        return self.size * _DAY / self.seconds

    def days_until_full(self, free: int) -> float | None:
        """Return the days until free space is used up at this rate; None if it never is.

        Args:
            free: Free bytes.
        """
        return free / self.per_day if self.size > 0 else None


def growth_of(tree: Tree, now: float) -> Growth | None:
    """Return how much was pushed in the last 30 days and is still stored; None if not known yet.

    The first day of a younger store does not count: it was filled then, or copied from elsewhere.

    Args:
        tree: All files of the registry's storage.
        now: The time by the server's clock, in seconds since 1970.
    """
    written = [(file.modified, max(file.size, 0)) for file in tree.blobs.values()]
    written = [each for each in written if 0 < each[0] <= now]  # times can be absurd
    oldest = min((at for at, _ in written), default=now)
    begin = max(now - PERIOD, oldest + _DAY)
    if now - begin < _LEAST:
        return None
    return Growth(sum(size for at, size in written if at > begin), now - begin)
