"""Describes what changed in an answers file since a draft was made from it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from moorage.escape import printable
from moorage.state import short_path
from tui.document.draft import Draft
from tui.document.file_changes import FileChanges
from tui.labels import label_of

_ITEMS = {"credentials.users.": "user", "servers.": "server", "hooks.": "hook"}
_MOST = 12


def describe_file_changes(path: Path, changes: FileChanges, file: Draft, draft: Draft) -> str:
    """Return what changed in a file, when, and what the choices mean.

    Args:
        path: The file.
        changes: The changes.
        file: The content of the file now.
        draft: The draft.
    """
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    lines = [
        f"{short_path(path)} was changed on {when:%Y-%m-%d} at {when:%H:%M}, after your draft was "
        "made:"
    ]
    lines += _list(_describe(place) for place in changes.places)
    now, before = file.get("based_on"), draft.get("based_on")
    if now != before:
        was = f"; the draft is based on {before}" if before else ""
        lines += ["", f"The file is based on revision {now} of the deployment{was}. Such a change "
                  "was applied already, for example by 'moorage users': an apply of the draft as "
                  "it is may undo it."]  # fmt: skip
    if changes.conflicts:
        lines += ["", "Changed in the draft as well; your values stay in either case:"]
        lines += _list(_describe(place) for place in changes.conflicts)
    return printable("\n".join(lines))


def _list(described: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(described))
    more = [f"  and {len(found) - _MOST} more"] if len(found) > _MOST else []
    return [f"  {each}" for each in found[:_MOST]] + more


def _describe(place: str) -> str:
    for beginning, kind in _ITEMS.items():
        if place.startswith(beginning):
            return f"{kind} {place.removeprefix(beginning)}"
    return label_of(tuple(place.split("."))) or place
