"""When a server counts as down and when as up again. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

_MOST_PATIENCE = 16
_MEMORY = 60
"""Intervals for which it is remembered that a server was taken in."""


@dataclass(frozen=True)
class Rules:
    """How often is checked, and how much it takes to change one's mind.

    Attributes:
        interval: Seconds between two checks.
        fall: Bad checks in a row that take a server out.
        rise: Good checks in a row that take it in.
    """

    interval: float
    fall: int
    rise: int

    @property
    def pause_in_doubt(self) -> float:
        """Seconds between two checks while a server that is in gives bad answers.

        So that the last of them is over two intervals after the failure at the latest.
        """
        return self.interval / self.fall

    @property
    def timeout(self) -> float:
        """Seconds one check may take."""
        return min(5.0, self.pause_in_doubt)


@dataclass(frozen=True)
class Verdict:
    """What is thought of one address.

    Attributes:
        is_in: Whether it belongs in the record.
        against: How many checks in a row said the opposite.
        patience: How many times the usual number of good checks it needs: more for one that went
            out again soon after it was taken in, so that a flapping server stays out.
        taken_in: When it was last taken in, in seconds of a steady clock.
        needs: How many good checks take it in at first; None for the usual number.
    """

    is_in: bool
    against: int = 0
    patience: int = 1
    taken_in: float | None = None
    needs: int | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last check said the opposite of what is thought."""
        return self.against > 0


def after_check(verdict: Verdict, *, is_good: bool, now: float, rules: Rules) -> Verdict:
    """Return what is thought after one more check.

    Args:
        verdict: What was thought before.
        is_good: What the check said.
        now: Seconds of a steady clock.
        rules: How much it takes.
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
    wanted = verdict.needs if verdict.needs is not None else rules.rise * verdict.patience
    if against < wanted:
        return replace(verdict, against=against)
    return Verdict(True, patience=verdict.patience, taken_in=now)
