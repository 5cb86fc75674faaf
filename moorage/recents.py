"""The deployments that were open or applied lately, for the wizard's start; never their secrets."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from moorage.state import private_folder, write_private

APPLIED = "applied"
"""The state of what was applied, and that went well."""
_MOST_RECENTS = 12


@dataclass(frozen=True)
class Recent:
    """A deployment that was open or applied lately.

    Attributes:
        path: Its answers file, or its draft where it was never saved.
        domain: The registry's name.
        opened: When, seconds since 1970.
        state: How the last apply ended, in words; empty when there was none.
        is_draft: Whether it was never saved.
        applied: When the last apply that went well ended, seconds since 1970; 0 when not known.
    """

    path: str
    domain: str
    opened: float
    state: str = ""
    is_draft: bool = False
    applied: float = 0.0

    @property
    def may_have_users(self) -> bool:
        """Whether it may be on servers: what was never saved and never applied is on none."""
        return not self.is_draft or bool(self.state)

    @property
    def when(self) -> str:
        """When it was applied, or else opened, for people."""
        if self.applied:
            return f"applied {_for_people(self.applied)}"
        return f"opened {_for_people(self.opened)}"


def _for_people(seconds: float) -> str:
    then = datetime.datetime.fromtimestamp(seconds).astimezone()
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


def remember(
    path: Path,
    domain: str,
    *,
    state: str = "",
    is_draft: bool = False,
    like: Recent | None = None,
    applied: float | None = None,
) -> None:
    """Put a deployment at the head of the recents.

    Args:
        path: Its answers file, or its draft.
        domain: The registry's name.
        state: How an apply has just ended, in words; empty when there was none just now.
        is_draft: Whether it was never saved.
        like: The same deployment by another path, whose state it takes over.
        applied: When it was applied, where that was not just now; seconds since 1970.
    """
    own = str(path.absolute())
    before = recents()
    last = like or next((each for each in before if each.path == own), None)
    if applied is None:
        applied = time.time() if state == APPLIED else last.applied if last else 0.0
    known = last.state if last else ""
    rows = [Recent(own, domain, time.time(), state or known, is_draft, applied)]
    rows += [each for each in before if each.path != own]
    content = json.dumps([each.__dict__ for each in rows[:_MOST_RECENTS]], indent=1)
    write_private(_recents_file(), content.encode())


def forget(path: Path) -> None:
    """Take a deployment off the recents."""
    own = str(path.absolute())
    rows = [each.__dict__ for each in recents() if each.path != own]
    write_private(_recents_file(), json.dumps(rows, indent=1).encode())


def applied_file(domain: str) -> Path:
    """Return where what was last applied to a registry from this machine is kept, as answers."""
    digest = hashlib.sha256(domain.encode()).hexdigest()[:16]
    return private_folder("applied") / f"{digest}.yml"


def _recents_file() -> Path:
    return private_folder() / "recents.json"
