"""Toasts that reliably go away when their time is up."""

from __future__ import annotations

import time

from textual.notifications import Notification

LEAST = 0.5
"""Seconds that a toast stays at least on a new screen."""
LOOK = 0.5
"""Seconds between checks whether all toasts are gone."""


class BriefNotice(Notification):
    """A notification whose toast always goes away.

    Each screen creates its own toast, with the time that is left. If that has passed before
    Textual's timer first looks at the clock, the timer never fires. If it is negative, the timer's
    loop never ends, and the wizard hangs.
    """

    @property
    def time_left(self) -> float:
        """The seconds it has left, valid for a timer."""
        return max(self._left(), LEAST)

    @property
    def has_expired(self) -> bool:
        """Whether its time is up."""
        return self._left() <= 0

    def _left(self) -> float:
        return self.raised_at + self.timeout - time.time()
