"""Stores recent files and drafts between sessions, without secrets."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorage.local_file import LocalFileError
from moorage.recents import Recent, applied_file, forget, recents, remember
from moorage.state import private_folder, write_private

if TYPE_CHECKING:
    from tui.document.draft import Draft


def new_draft_file() -> Path:
    """Return the file for the draft of a new deployment."""
    now = datetime.datetime.now(datetime.UTC)
    return private_folder("drafts") / f"new-{now:%Y%m%d-%H%M%S-%f}.yml"


def draft_file_for(answers_file: Path) -> Path:
    """Return the file for unsaved changes to an answers file."""
    own = str(answers_file.absolute())
    digest = hashlib.sha256(own.encode()).hexdigest()[:16]
    return private_folder("drafts") / f"of-{digest}.yml"


__all__ = [
    "KeptDraft",
    "Recent",
    "draft_file_for",
    "forget",
    "is_draft_file",
    "keep_applied",
    "keep_draft",
    "last_applied",
    "new_draft_file",
    "private_folder",
    "read_draft",
    "recents",
    "remember",
    "state_of",
]


@dataclass(frozen=True)
class KeptDraft:
    """A stored draft.

    Attributes:
        draft: The draft, without secrets.
        of: Its answers file; None if it was never saved.
        visited: The steps seen so far, by name.
        left_at: The step shown last, by name; empty if unknown.
        base: The content of the answers file that it was made from, without secrets; None if
            unknown.
    """

    draft: Draft
    of: Path | None = None
    visited: tuple[str, ...] = ()
    left_at: str = ""
    base: dict[str, Any] | None = None


def keep_draft(
    path: Path,
    draft: Draft,
    *,
    of: Path | None,
    visited: Iterable[str] = (),
    left_at: str = "",
    base: dict[str, Any] | None = None,
) -> None:
    """Write a draft, without secrets.

    Args:
        path: The file to write.
        draft: The draft.
        of: Its answers file, if it has one.
        visited: The steps seen so far, by name.
        left_at: The current step, by name.
        base: The content of the answers file that it was made from, without secrets.
    """
    import yaml

    body = {
        "of": str(of.absolute()) if of else None,
        "visited": sorted(str(each) for each in visited),
        "left_at": str(left_at),
        "answers": draft.without_secrets(),
        "base": base,
    }
    write_private(path, yaml.safe_dump(body, sort_keys=False, allow_unicode=True).encode())


def read_draft(path: Path) -> KeptDraft:
    """Read a draft back.

    Raises:
        ValueError: It cannot be read.
    """
    import yaml

    from tui.document.draft import Draft

    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
        answers: dict[str, Any] = body["answers"]
        draft = Draft(answers)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a draft") from error
    of = Path(body["of"]) if body.get("of") else None
    visited = tuple(str(each) for each in body.get("visited") or ())
    base = body.get("base")
    return KeptDraft(
        draft,
        of,
        visited,
        str(body.get("left_at") or ""),
        base if isinstance(base, dict) else None,
    )


def state_of(path: Path) -> str:
    """Return how the last apply of a recent deployment ended; see :class:`Recent`."""
    own = str(path.absolute())
    return next((each.state for each in recents() if each.path == own), "")


def keep_applied(draft: Draft) -> None:
    """Store the answers that were applied, without secrets, to compare later drafts with."""
    import yaml

    text = yaml.safe_dump(draft.without_secrets(), sort_keys=False, allow_unicode=True)
    write_private(applied_file(draft.domain), text.encode())


def last_applied(domain: str) -> Draft | None:
    """Return the answers last applied to a registry from this machine, or None."""
    import yaml

    from tui.document.draft import Draft

    try:
        data = yaml.safe_load(applied_file(domain).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return Draft(data) if isinstance(data, dict) else None


def is_draft_file(path: Path) -> bool:
    """Return whether a path is one of the wizard's own drafts."""
    return path.absolute().parent == private_folder("drafts").absolute()


def text_of(path: Path) -> str:
    """Return the text of a file; empty if it cannot be read."""
    from moorage.answers.load import read_answers_text

    try:
        return read_answers_text(path)
    except LocalFileError:
        return ""
