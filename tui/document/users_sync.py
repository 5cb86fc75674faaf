"""Updates a draft after a change of the users, so that an apply does not undo it."""

from __future__ import annotations

from moorage.answers.model import Credentials
from moorage.errors import AnswersError
from moorage.users.answers_sync import UsersChange, sync
from tui.document.draft import Draft


def sync_draft(draft: Draft, change: UsersChange) -> None:
    """Make the same change to the users of a draft, unless they are not valid yet.

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
