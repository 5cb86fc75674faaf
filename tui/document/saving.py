"""Saves a draft as an answers file, and keeps it up to date with changes of the users."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from moorage.answers.amend import amend, lost_comments
from moorage.answers.model import Credentials
from moorage.answers.save import HEADER, save_text
from moorage.answers.secrets import Typed
from moorage.errors import AnswersError
from moorage.users.answers_sync import UsersChange, sync
from moorage.users.passwords import hash_password
from tui.document import store
from tui.document.draft import Draft


def default_name(domain: str) -> str:
    """Return the suggested file name: moorage.yml, or the domain's if that is taken."""
    usual = "moorage.yml"
    return f"{domain}.yml" if Path(usual).exists() and domain else usual


@dataclass(frozen=True)
class Saved:
    """A saved answers file.

    Attributes:
        data: The draft, without secrets.
        text: The content of the file.
        lost_comments: Whether comments of the previous file were lost.
    """

    data: dict[str, Any]
    text: str
    lost_comments: bool = False


def write_answers(draft: Draft, path: Path) -> Saved:
    """Write a draft to a file, finished or not; unchanged parts of the file keep their form.

    A user's typed password becomes its hash, so that the file can be applied without prompting;
    other typed secrets become ``{prompt: true}``. Takes a fifth of a second per password.

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
    before = store.text_of(path)
    try:
        text = amend(before, hashed.answers())
    except AnswersError:
        # Unfinished answers are saved as they are; opening the file shows what is missing.
        unfinished = hashed.without_secrets()
        text = HEADER + yaml.safe_dump(unfinished, sort_keys=False, allow_unicode=True)
    save_text(text, path)
    return Saved(plain, text, lost_comments(before, text))


def sync_draft(draft: Draft, change: UsersChange) -> None:
    """Make the same change to the users of a draft, so that an apply does not undo it.

    A draft whose users are not valid yet stays as it is.

    Args:
        draft: The draft.
        change: The change.
    """
    credentials = draft.answers_of(Credentials, "credentials")
    try:
        answers = draft.answers_to_look()
    except AnswersError:
        return
    if credentials is None:
        return
    answers = answers.model_copy(update={"credentials": credentials})
    synced = sync(answers, change).answers
    if synced != answers:
        draft.set("credentials.users", Draft.from_answers(synced).get("credentials.users"))
        if synced.based_on is not None:
            draft.set("based_on", synced.based_on)
