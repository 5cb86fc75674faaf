"""Consequences of a plan that the operator has accepted; an apply refuses them otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    """The consequences that the operator saw and accepted.

    Attributes:
        removals: The users that can be removed, by name.
        regained: The users that can get revoked access back, by name.
        begin_empty: Whether the registry can begin with an empty store.
        retention: Whether a schedule can remove the tags that the retention rules do not keep.
        end_transfers: Whether transfers that block the apply can be cut off.
    """

    removals: frozenset[str] = frozenset()
    regained: frozenset[str] = frozenset()
    begin_empty: bool = False
    retention: bool = False
    end_transfers: bool = False


NOTHING = Accepted()
