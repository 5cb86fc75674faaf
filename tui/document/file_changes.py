"""Merge what changed in an answers file since a draft was made from it. Does not import Textual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui.document.draft import Draft
from tui.document.unapplied import by_name, differing

_MISSING = object()


@dataclass(frozen=True)
class FileChanges:
    """The changes of a file since a draft was made from it.

    Attributes:
        merged: The draft with these changes.
        places: What changed in the file and differs from the draft, as paths.
        conflicts: Those of them that the draft changed as well, and keeps.
    """

    merged: Draft
    places: tuple[str, ...]
    conflicts: tuple[str, ...]


def changes_since(base: Mapping[str, Any] | None, file: Draft, draft: Draft) -> FileChanges | None:
    """Return what changed in a file since a draft was made, or None if the draft has all of it.

    Args:
        base: The content of the file that the draft was made from; None if unknown.
        file: The content of the file now.
        draft: The draft.
    """
    if base is None:
        return None
    now, own = file.without_secrets(), draft.without_secrets()
    conflicts: list[str] = []
    merged = _merge(base, now, own, "", conflicts)
    new = [place for place in differing(now, base, "") if place.partition(".")[0] != "based_on"]
    places = tuple(place for place in new if place in {*differing(now, own, "")})
    if not places:
        return None
    return FileChanges(Draft(merged), places, tuple(conflicts))


def _merge(base: Any, file: Any, draft: Any, place: str, conflicts: list[str]) -> Any:
    """Return a part of the draft with the file's changes; both changed: the draft's."""
    if draft in (file, base) or file == base:
        return file if draft == base else draft
    parts = [by_name(each) for each in (base, file, draft)]
    if not all(isinstance(each, Mapping) for each in parts[1:]) or place.endswith(".password"):
        conflicts.append(place)
        return draft
    if not isinstance(parts[0], Mapping):
        parts[0] = {}
    merged = {}
    for key in dict.fromkeys((*parts[2], *parts[1])):
        inside = f"{place}.{key}" if place else str(key)
        before, now, own = (each.get(key, _MISSING) for each in parts)
        value = _merge(before, now, own, inside, conflicts)
        if value is not _MISSING:
            merged[key] = value
    return list(merged.values()) if isinstance(draft, list) else merged
