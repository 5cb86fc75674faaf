"""Decide when a server counts as down and when as up again. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

_MOST_PATIENCE = 16
_MEMORY = 60
"""Intervals after a server was added during which going down again counts as flapping."""


@dataclass(frozen=True)
class Rules:
    """The check interval and thresholds.

    Attributes:
        interval: Seconds between checks.
        fall: Failed checks in a row before a server is removed.
        rise: Successful checks in a row before it is added again.
    """

    interval: float
    fall: int
    rise: int

    @property
    def pause_in_doubt(self) -> float:
        """Seconds between checks while an active server fails checks.

        Chosen so that the last check ends within two intervals of the failure.
        """
        return self.interval / self.fall

    @property
    def timeout(self) -> float:
        """Time limit for one check in seconds."""
        return min(5.0, self.pause_in_doubt)


@dataclass(frozen=True)
class Verdict:
    """The state of one address.

    Attributes:
        is_in: Whether it belongs in the record.
        against: Checks in a row that contradict ``is_in``.
        patience: Multiplies the required successful checks; grows for a server that fails again
            soon after it was added, so that a flapping server stays out.
        taken_in: When it was last added, in monotonic seconds.
        needs: Successful checks required at first; None for the usual number.
    """

    is_in: bool
    against: int = 0
    patience: int = 1
    taken_in: float | None = None
    needs: int | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last check contradicts ``is_in``."""
        return self.against > 0


def after_check(verdict: Verdict, *, is_good: bool, now: float, rules: Rules) -> Verdict:
    """Return the state after one more check.

    Args:
        verdict: The state before.
        is_good: Whether the check succeeded.
        now: Monotonic time in seconds.
        rules: The thresholds.
    """
    if is_good == verdict.is_in:
        return replace(verdict, against=0)
    against = verdict.against + 1
    if verdict.is_in:
        if against < rules.fall:
            return replace(verdict, against=against)
        memory = _MEMORY * rules.interval
        is_flapping = verdict.taken_in is not None and now - verdict.taken_in < memory
        patience = min(_MOST_PATIENCE, verdict.patience * 2) if is_flapping else 1
        return Verdict(False, patience=patience)
    required = verdict.needs if verdict.needs is not None else rules.rise * verdict.patience
    if against < required:
        return replace(verdict, against=against)
    return Verdict(True, patience=verdict.patience, taken_in=now)
