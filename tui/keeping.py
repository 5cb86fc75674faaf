"""What the wizard keeps between two sessions: recent files and drafts, never secrets."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorage.state import private_folder, write_private

if TYPE_CHECKING:
    from tui.draft import Draft

_MOST_RECENTS = 12


@dataclass(frozen=True)
class Recent:
    """A deployment that was open lately.

    Attributes:
        path: Its answers file, or its draft where it was never saved.
        domain: The registry's name.
        opened: When, seconds since 1970.
        state: How the last apply ended, in words; empty when there was none.
        is_draft: Whether it was never saved.
    """

    path: str
    domain: str
    opened: float
    state: str = ""
    is_draft: bool = False

    @property
    def may_have_users(self) -> bool:
        """Whether it may be on servers: what was never saved and never applied is on none."""
        return not self.is_draft or bool(self.state)

    @property
    def when(self) -> str:
        """When it was opened, for people."""
        then = datetime.datetime.fromtimestamp(self.opened).astimezone()
        today = datetime.datetime.now().astimezone()
        return f"today {then:%H:%M}" if then.date() == today.date() else f"{then:%Y-%m-%d}"


def recents() -> list[Recent]:
    """Return the recent deployments that are still there, the latest first."""
    try:
        rows = json.loads(_recents_file().read_text(encoding="utf-8"))
        found = [Recent(**row) for row in rows]
    except (OSError, ValueError, TypeError):
        return []
    return [each for each in found if Path(each.path).is_file()]


def remember(path: Path, domain: str, *, state: str = "", is_draft: bool = False) -> None:
    """Put a deployment at the head of the recents."""
    own = str(path.absolute())
    before = recents()
    last = next((each.state for each in before if each.path == own), "")
    rows = [Recent(own, domain, time.time(), state or last, is_draft)]
    rows += [each for each in before if each.path != own]
    content = json.dumps([each.__dict__ for each in rows[:_MOST_RECENTS]], indent=1)
    write_private(_recents_file(), content.encode())


def forget(path: Path) -> None:
    """Take a deployment off the recents."""
    own = str(path.absolute())
    rows = [each.__dict__ for each in recents() if each.path != own]
    write_private(_recents_file(), json.dumps(rows, indent=1).encode())


def new_draft_file() -> Path:
    """Return where the draft of a new deployment is kept."""
    now = datetime.datetime.now(datetime.UTC)
    return private_folder("drafts") / f"new-{now:%Y%m%d-%H%M%S-%f}.yml"


def draft_file_for(answers_file: Path) -> Path:
    """Return where the unsaved changes of an answers file are kept."""
    own = str(answers_file.absolute())
    digest = hashlib.sha256(own.encode()).hexdigest()[:16]
    return private_folder("drafts") / f"of-{digest}.yml"


@dataclass(frozen=True)
class KeptDraft:
    """A draft that was kept.

    Attributes:
        draft: What was typed, without secrets.
        of: The answers file it belongs to; None when it was never saved.
        visited: The steps that were seen, by name.
    """

    draft: Draft
    of: Path | None = None
    visited: tuple[str, ...] = ()


def keep_draft(path: Path, draft: Draft, *, of: Path | None, visited: Iterable[str] = ()) -> None:
    """Write a draft, without secrets.

    Args:
        path: Where.
        draft: The draft.
        of: The answers file it belongs to, if it has one.
        visited: The steps that were seen, by name.
    """
    import yaml

    body = {
        "of": str(of.absolute()) if of else None,
        "visited": sorted(str(each) for each in visited),
        "answers": draft.without_secrets(),
    }
    write_private(path, yaml.safe_dump(body, sort_keys=False, allow_unicode=True).encode())


def read_draft(path: Path) -> KeptDraft:
    """Read a draft back.

    Raises:
        ValueError: It cannot be read.
    """
    import yaml

    from tui.draft import Draft

    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
        answers: dict[str, Any] = body["answers"]
        draft = Draft(answers)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no draft") from error
    of = Path(body["of"]) if body.get("of") else None
    return KeptDraft(draft, of, tuple(str(each) for each in body.get("visited") or ()))


def keep_applied(draft: Draft) -> None:
    """Remember what was applied to a registry, without secrets, to compare later drafts with."""
    import yaml

    text = yaml.safe_dump(draft.without_secrets(), sort_keys=False, allow_unicode=True)
    write_private(_applied_file(draft.domain), text.encode())


def last_applied(domain: str) -> Draft | None:
    """Return what was last applied to a registry from this machine, or None."""
    import yaml

    from tui.draft import Draft

    try:
        data = yaml.safe_load(_applied_file(domain).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return Draft(data) if isinstance(data, dict) else None


def is_draft_file(path: Path) -> bool:
    """Return whether a path is one of the wizard's own drafts."""
    return path.absolute().parent == private_folder("drafts").absolute()


def _applied_file(domain: str) -> Path:
    digest = hashlib.sha256(domain.encode()).hexdigest()[:16]
    return private_folder("applied") / f"{digest}.yml"


def _recents_file() -> Path:
    return private_folder() / "recents.json"
