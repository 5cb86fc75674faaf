"""Enumerations of strings, as `enum.StrEnum`, which needs Python 3.11."""

from __future__ import annotations

from enum import Enum


class StrEnum(str, Enum):
    """An enumeration whose members are strings."""

    def __str__(self) -> str:
        """Return the value."""
        return str(self.value)
