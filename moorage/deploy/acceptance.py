"""What the operator has accepted of a plan's consequences; nothing of it happens unaccepted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    """What may happen because somebody was shown it and said yes.

    Attributes:
        removals: The users who may be removed, by name.
        regained: The users who may get back what others took from them, by name.
        begin_empty: Whether the registry may begin with an empty store.
        end_transfers: Whether transfers may be cut off that are in the way.
    """

    removals: frozenset[str] = frozenset()
    regained: frozenset[str] = frozenset()
    begin_empty: bool = False
    end_transfers: bool = False


NOTHING = Accepted()
