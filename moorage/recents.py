"""Recently opened or applied deployments for the wizard's start screen. Holds no secrets."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.state import private_folder, write_private

APPLIED = "applied"
"""The state of a deployment whose last apply succeeded."""
UNFINISHED = "apply not finished"
"""The state of a deployment while it is applied, and later if nobody saw how that ended."""
_MOST_RECENTS = 12


@dataclass(frozen=True)
class Recent:
    """A deployment that was recently opened or applied.

    Attributes:
        path: Its answers file, or its draft if it was never saved.
        domain: The registry's domain.
        opened: Time it was last opened, in seconds since 1970.
        state: How the last apply ended, as text; empty if it was never applied.
        is_draft: Whether it was never saved.
        applied: Time the last successful apply ended, in seconds since 1970; 0 if unknown.
        servers: The servers of a draft: drafts of one deployment have no other name.
    """

    path: str
    domain: str
    opened: float
    state: str = ""
    is_draft: bool = False
    applied: float = 0.0
    servers: Sequence[str] = ()

    @property
    def may_have_users(self) -> bool:
        """Whether it can be on servers: a draft that was never applied is on none."""
        return not self.is_missing and (not self.is_draft or bool(self.state))

    @property
    def is_missing(self) -> bool:
        """Whether its file was moved or deleted."""
        return not Path(self.path).is_file()

    @property
    def times(self) -> list[str]:
        """The time of the last apply, as text; of a draft, or before, also of opening it."""
        applied = [f"applied {_for_people(self.applied)}"] if self.applied else []
        if self.applied and not self.is_draft:
            return applied
        return [*applied, f"opened {_for_people(self.opened)}"]


def _for_people(seconds: float) -> str:
    then = datetime.datetime.fromtimestamp(seconds).astimezone()
    today = datetime.datetime.now().astimezone()
    return f"today {then:%H:%M}" if then.date() == today.date() else f"{then:%Y-%m-%d}"


def recents() -> list[Recent]:
    """Return the recent deployments, latest first; a draft only if it still exists."""
    try:
        rows = json.loads(_recents_file().read_text(encoding="utf-8"))
        found = [Recent(**row) for row in rows]
    except (OSError, ValueError, TypeError):
        return []
    return [each for each in found if not (each.is_draft and each.is_missing)]


def remember(
    path: Path,
    domain: str,
    *,
    state: str = "",
    is_draft: bool = False,
    like: Recent | None = None,
    applied: float | None = None,
    servers: Sequence[str] | None = None,
) -> None:
    """Move a deployment to the top of the list.

    Args:
        path: Its answers file, or its draft.
        domain: The registry's domain.
        state: How an apply has just ended, as text; empty if none has.
        is_draft: Whether it was never saved.
        like: The same deployment under another path, whose state is copied.
        applied: Time it was applied if not just now, in seconds since 1970.
        servers: The servers of a draft; None for those known so far.
    """
    own = str(path.absolute())
    before = recents()
    last = like or next((each for each in before if each.path == own), None)
    if applied is None:
        applied = time.time() if state == APPLIED else last.applied if last else 0.0
    known = last.state if last else ""
    if servers is None:
        servers = last.servers if last and is_draft else ()
    rows = [Recent(own, domain, time.time(), state or known, is_draft, applied, servers)]
    rows += [each for each in before if each.path != own]
    content = json.dumps([each.__dict__ for each in rows[:_MOST_RECENTS]], indent=1)
    write_private(_recents_file(), content.encode())


def forget(path: Path) -> None:
    """Remove a deployment from the list."""
    own = str(path.absolute())
    rows = [each.__dict__ for each in recents() if each.path != own]
    write_private(_recents_file(), json.dumps(rows, indent=1).encode())


def applied_file(domain: str) -> Path:
    """Return the file with the answers last applied to a registry from this machine."""
    digest = hashlib.sha256(domain.encode()).hexdigest()[:16]
    return private_folder("applied") / f"{digest}.yml"


def _recents_file() -> Path:
    return private_folder() / "recents.json"
