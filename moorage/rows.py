"""Rows: the facts about a subject, built once by the engine and shown by both interfaces."""

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


SIGNS = {Level.GOOD: "✓", Level.INFO: "○", Level.PENDING: "…", Level.WARNING: "!", Level.BAD: "✗"}
"""The sign of each level, for interfaces without colour as well."""


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
