"""Rows: the facts about a subject, built once by the engine and shown by both interfaces.

The failover service ships this module: import only the standard library here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The level of a row, shown as a sign and a colour."""

    GOOD = "good"
    INFO = "info"
    PENDING = "pending"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


SIGNS = {
    Level.GOOD: "✓",
    Level.INFO: "○",
    Level.PENDING: "…",
    Level.WARNING: "!",
    Level.BAD: "✗",
    Level.SKIPPED: "-",
}
"""The sign of each level, for interfaces without colour as well."""


class Action(StrEnum):
    """The kind of a change to a file, a record, a user."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    RUN = "run"

    @property
    def sign(self) -> str:
        """Its sign, for interfaces without colour as well."""
        return _ACTION_SIGNS[self]

    @property
    def participle(self) -> str:
        """The change in the past: ``added``."""
        return _PARTICIPLES[self]


_ACTION_SIGNS = {Action.ADD: "+", Action.CHANGE: "~", Action.REMOVE: "-", Action.RUN: ">"}
_PARTICIPLES = {
    Action.ADD: "added",
    Action.CHANGE: "changed",
    Action.REMOVE: "removed",
    Action.RUN: "run",
}


@dataclass(frozen=True)
class Row:
    """One line about a subject.

    Attributes:
        key: What the row is about; stable, for programs.
        label: The same for people, or the name of what it is about.
        text: What there is to say about it.
        level: How much it matters.
    """

    key: str
    label: str
    text: str
    level: Level = Level.INFO

    @property
    def sign(self) -> str:
        """The sign of its level."""
        return SIGNS[self.level]
