"""Writes a draft as an answers file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from moorage.answers.save import HEADER, save, save_text
from moorage.answers.secrets import Typed
from moorage.errors import AnswersError
from moorage.users.passwords import hash_password
from tui.draft import Draft


def default_name(domain: str) -> str:
    """Return the file name that is offered: moorage.yml, or the domain's where that is taken."""
    usual = "moorage.yml"
    return f"{domain}.yml" if Path(usual).exists() and domain else usual


def write_answers(draft: Draft, path: Path) -> dict[str, Any]:
    """Write a draft to a file, finished or not, and return the draft without secrets.

    A typed password of a user becomes its hash, so that the file can be replayed without anybody
    to ask; other typed secrets become ``{prompt: true}``. Takes a fifth of a second per password.

    Args:
        draft: The draft.
        path: The file.

    Raises:
        MoorageError: The file cannot be written.
    """
    plain = draft.without_secrets()
    hashed = Draft(draft.data)
    for position, user in enumerate(draft.items("credentials.users")):
        password = user.get("password")
        if isinstance(password, Typed):
            value = hash_password(password.secret)
            hashed.set(f"credentials.users[{position}].password", {"hash": value})
    try:
        save(hashed.answers(), path)
    except AnswersError:
        # Not finished: what was typed is kept as it is; opening the file shows what is missing.
        unfinished = hashed.without_secrets()
        text = yaml.safe_dump(unfinished, sort_keys=False, allow_unicode=True)
        save_text(HEADER + text, path)
    return plain
