"""Opens a file: answers, finished or not, or one of the wizard's own drafts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moorage.answers.load import load_draft
from moorage.errors import AnswersError, MoorageError
from moorage.registry_keys import check_loaded
from tui.document import store
from tui.document.draft import Draft
from tui.document.problems import Mistakes


@dataclass(frozen=True)
class Opened:
    """The content of a file.

    Attributes:
        draft: The answers in the file.
        draft_file: The file for unsaved changes to them.
        path: The answers file; None for a draft that was never saved.
        unsaved: The answers with unsaved changes from the wizard, or None.
        notices: Notices for the operator.
        visited: The steps seen so far, by name; None if all count as seen.
        mistakes: The mistakes in the answers file, or None.
        left_at: The step shown last, by name; empty if unknown.
        base: The content of the file that the unsaved changes were made to; None if unknown.
    """

    draft: Draft
    draft_file: Path
    path: Path | None = None
    unsaved: Draft | None = None
    notices: tuple[str, ...] = ()
    visited: tuple[str, ...] | None = None
    mistakes: Mistakes | None = None
    left_at: str = ""
    base: dict[str, Any] | None = None


def open_path(path: Path) -> Opened:
    """Read a file.

    Raises:
        MoorageError: The file cannot be read, or has no answers.
    """
    if store.is_draft_file(path):
        try:
            kept = store.read_draft(path)
        except ValueError as error:
            raise MoorageError(f"{error}.", code="cannot_read") from error
        visited = kept.visited if kept.of is None else None
        return Opened(kept.draft, path, kept.of, visited=visited, left_at=kept.left_at)
    loaded = load_draft(path)
    if not loaded.data:
        raise AnswersError(loaded.problems)
    draft = _with_rows(Draft(loaded.data))
    draft_file = store.draft_file_for(path)
    unsaved, left_at, base = None, "", None
    with contextlib.suppress(ValueError):
        kept = store.read_draft(draft_file)
        unsaved, left_at, base = kept.draft, kept.left_at, kept.base
    if unsaved is not None and unsaved.data == draft.data:
        unsaved = None
    problems = check_loaded(loaded)
    mistakes = Mistakes(str(path), problems) if problems else None
    return Opened(
        draft,
        draft_file,
        path,
        unsaved,
        loaded.notices,
        mistakes=mistakes,
        left_at=left_at,
        base=base,
    )


def _with_rows(draft: Draft) -> Draft:
    """Turn invalid items of a list into mappings, so that a form can show and fix them."""
    for items, name in (("servers", "host"), ("credentials.users", "name")):
        for place, row in enumerate(draft.items(items)):
            if not isinstance(row, dict):
                draft.set(f"{items}[{place}]", {name: row} if isinstance(row, str) else {})
    return draft
