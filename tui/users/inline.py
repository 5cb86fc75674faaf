"""Brings what is open in line with a change of the users, so that an apply does not undo it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.answers.amend import amended
from moorage.answers.load import load
from moorage.answers.model import Answers, Credentials
from moorage.answers.save import save_text
from moorage.desired.users import RegistryUser
from moorage.errors import AnswersError, MoorageError
from moorage.users.declared import InLine, bring_in_line
from tui.draft import Draft


@dataclass(frozen=True)
class Changed:
    """A change of the users that the servers have.

    Attributes:
        before: The users as they were.
        after: The users as they are.
        listed: New users that the answers are to list, too.
        revisions: The deployment's revision before and after.
    """

    before: Sequence[RegistryUser]
    after: Sequence[RegistryUser]
    listed: tuple[str, ...] = ()
    revisions: tuple[int, int] | None = None

    def brought_in_line(self, answers: Answers) -> InLine:
        """Return answers that would not undo the change."""
        return bring_in_line(
            answers,
            self.before,
            self.after,
            listed_too=self.listed,
            revisions=self.revisions,
        )


def bring_file_in_line(path: Path, changed: Changed) -> tuple[str, ...]:
    """Write what changed to an answers file; comments and order stay. Blocks.

    Args:
        path: The file.
        changed: The change.

    Returns:
        What the operator should know, a sentence each; empty when the file stayed as it was.

    Raises:
        MoorageError: It cannot be read or written.
    """
    answers = load(path)
    line = changed.brought_in_line(answers)
    if line.answers == answers:
        return ()
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise MoorageError(f"{path} cannot be read: {error.strerror}.") from error
    save_text(amended(text, line.answers), path)
    if line.answers.credentials == answers.credentials:
        return line.notices
    return (f"{path.name} says so, too.", *line.notices)


def bring_draft_in_line(draft: Draft, changed: Changed) -> None:
    """Change the users of a draft likewise; one whose users are not finished stays as it is."""
    credentials = draft.answers_of(Credentials, "credentials")
    try:
        answers = draft.answers_to_look()
    except AnswersError:
        return
    if credentials is None:
        return
    answers = answers.model_copy(update={"credentials": credentials})
    line = changed.brought_in_line(answers)
    if line.answers != answers:
        users = Draft.from_answers(line.answers).get("credentials.users")
        draft.set("credentials.users", users)
        if line.answers.based_on is not None:
            draft.set("based_on", line.answers.based_on)
