"""Paths in the answers. Imports nothing, because the start screen needs it."""

from __future__ import annotations

import re

_PARTS = re.compile(r"[^.\[\]]+|\[\d+\]")


def parse_path(dotted: str) -> tuple[str | int, ...]:
    """Split ``servers[0].host`` into its keys and indexes."""
    return tuple(
        int(part[1:-1]) if part.startswith("[") else part for part in _PARTS.findall(dotted)
    )
