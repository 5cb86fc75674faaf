"""Toasts that go when their time is over, whatever else the machine is doing."""

from __future__ import annotations

import time

from textual.notifications import Notification

LEAST = 0.5
"""Seconds a toast stays that is put on a new screen when its time is nearly over."""
LOOK = 0.5
"""Seconds between two looks at whether toasts are gone."""


class BriefNotice(Notification):
    """A notification whose toast always goes.

    Every screen makes toasts of its own, for the time that is left. Textual's timer never fires
    when that is over before its first look at the clock, and its loop never ends when that is
    negative, so that no key is answered any more.
    """

    @property
    def time_left(self) -> float:
        """Seconds until it goes, as a timer takes them."""
        return max(self._left(), LEAST)

    @property
    def has_expired(self) -> bool:
        """Whether it has been there for its time."""
        return self._left() <= 0

    def _left(self) -> float:
        return self.raised_at + self.timeout - time.time()
