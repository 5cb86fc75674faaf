"""The deployments that were open or applied lately, for the wizard's start; never their secrets."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from moorage.state import private_folder, write_private

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


def applied_file(domain: str) -> Path:
    """Return where what was last applied to a registry from this machine is kept, as answers."""
    digest = hashlib.sha256(domain.encode()).hexdigest()[:16]
    return private_folder("applied") / f"{digest}.yml"


def _recents_file() -> Path:
    return private_folder() / "recents.json"
