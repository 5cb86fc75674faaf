"""Convert answers of older versions to the current one, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moorage.answers.model import VERSION

Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts answers from one version to the next, apart from ``version``."""

MIGRATIONS: Mapping[int, Migration] = {}
"""The step from each older version to the next."""


class MigrationError(ValueError):
    """The version is missing, unknown or too new; the text says what to do."""


def migrate(
    data: dict[str, Any],
    *,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    current: int = VERSION,
) -> tuple[dict[str, Any], list[str]]:
    """Return answers in the current version's format, and notices about changes.

    Args:
        data: The answers as read; not changed.
        migrations: The step from each older version to the next.
        current: The version to convert to.

    Raises:
        MigrationError: The version cannot be converted.
    """
    version = data.get("version")
    if "version" not in data or version is None:
        raise MigrationError(f"is missing; add a line 'version: {current}'")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise MigrationError(f"must be {current}, without quotes")
    if version > current:
        raise MigrationError(
            f"this file has version {version}, but this Moorage supports versions up to {current}: "
            "upgrade Moorage"
        )
    notices = []
    for step in range(version, current):
        if step not in migrations:
            raise MigrationError(f"version {version} is no longer supported; use version {current}")
        data = {**migrations[step](dict(data)), "version": step + 1}
    if version != current:
        notices.append(
            f"The answers use version {version} of the format; saving them converts them to "
            f"version {current}."
        )
    return data, notices
