"""The task of a run that deletes, collects or restores images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

LOOKS = (1.0, 10.0, 60.0)
"""Seconds after which it is looked again for what was linked while files were moved."""


@dataclass(frozen=True)
class Task:
    """The work of a run.

    Attributes:
        action: collect, delete or restore.
        root: The storage's root folder.
        store: The ID in its marker file; empty if it has none.
        grace: Seconds between marking and moving.
        young: Seconds during which whatever was written is alive.
        takes_untagged: Whether manifests without a tag can go.
        purges: Whether the trash is emptied at the end.
        trash: Seconds that files stay in the trash.
        tags: Tags to delete or restore: repository, tag, and the digest that the operator saw.
        repositories: Repositories to delete or restore, entirely.
        looks: See :data:`LOOKS`.
    """

    action: str
    root: str
    store: str = ""
    grace: float = 3600.0
    young: float = 24 * 3600.0
    takes_untagged: bool = False
    purges: bool = False
    trash: float = 7 * 24 * 3600.0
    tags: tuple[tuple[str, str, str], ...] = ()
    repositories: tuple[str, ...] = ()
    looks: tuple[float, ...] = LOOKS


def read_task(path: Path) -> Task:
    """Return the task that a run was sent.

    Args:
        path: The file.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    values["tags"] = tuple(tuple(each) for each in values["tags"])
    for name in ("repositories", "looks"):
        values[name] = tuple(values[name])
    return Task(**values)
