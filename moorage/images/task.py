"""The task of a run that deletes, collects or restores images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moorage.images.alive import UNTAGGED
from moorage.images.retention import Keep, Rule

LOOKS = (1.0, 10.0, 60.0)
"""Seconds after which it is looked again for what was linked while files were moved."""

IN_TRASH = 7 * 24 * 3600.0
"""Seconds that files stay in the trash."""


@dataclass(frozen=True)
class Task:
    """The work of a run.

    Attributes:
        action: collect, delete, retain, restore, or scheduled: retain, then collect.
        root: The storage's root folder.
        store: The ID in its marker file; empty if it has none.
        grace: Seconds between marking and moving.
        young: Seconds during which whatever was written is alive.
        takes_untagged: Whether manifests without a tag can go.
        purges: Whether the trash is emptied at the end.
        trash: Seconds that files stay in the trash.
        untagged: Seconds during which a manifest without a tag is alive after a pull.
        tags: Tags to delete or restore: repository, tag, and the digest that the operator saw.
            When rules are applied on the operator's word, no others go.
        repositories: Repositories to delete or restore, entirely.
        rules: The retention rules, in order.
        looks: See :data:`LOOKS`.
    """

    action: str
    root: str
    store: str = ""
    grace: float = 3600.0
    young: float = 24 * 3600.0
    takes_untagged: bool = False
    purges: bool = False
    trash: float = IN_TRASH
    untagged: float = UNTAGGED
    tags: tuple[tuple[str, str, str], ...] = ()
    repositories: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
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
    values["rules"] = tuple(_rule(**each) for each in values["rules"])
    return Task(**values)


def _rule(repositories: list[str], keep: dict[str, Any]) -> Rule:
    return Rule(tuple(repositories), Keep(**{**keep, "tags": tuple(keep["tags"])}))
