"""Copy a change of the users on the servers into the answers, so that no apply undoes it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from moorage.answers.amend import LOST_COMMENTS, amend, lost_comments
from moorage.answers.load import load, read_answers_text
from moorage.answers.model import Answers, Credentials, User
from moorage.answers.save import dump, save_text
from moorage.answers.secrets import Generated, PasswordReference
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError
from moorage.recents import applied_file
from moorage.state import write_private

KEEP_PASSWORD = Generated(generate=True)
"""In answers: keeps the password on the servers, and generates one only for a new user."""


@dataclass(frozen=True)
class SyncedAnswers:
    """Answers that match the servers' users.

    Attributes:
        answers: The answers.
        notices: What the operator should know, one sentence each.
    """

    answers: Answers
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class UsersChange:
    """A change of the users that the servers already have.

    Attributes:
        before: The users on the servers before the change.
        after: The users on the servers now.
        listed: New users to add to the answers; others are only on the servers.
        reference: The reference the new password came from, if any.
        revisions: The deployment's revision before and after; answers based on the first become
            based on the second.
    """

    before: Sequence[RegistryUser]
    after: Sequence[RegistryUser]
    listed: Sequence[str] = ()
    reference: PasswordReference | None = None
    revisions: tuple[int, int] | None = None


def sync_file(path: Path, change: UsersChange) -> tuple[str, ...] | None:
    """Update an answers file; comments and order are kept. Blocks.

    Args:
        path: The file.
        change: The change.

    Returns:
        What the operator should know, one sentence each; None if the file did not change.

    Raises:
        MoorageError: The file cannot be read or written.
    """
    # The file may have changed since it was read.
    answers = load(path)
    synced = sync(answers, change)
    if synced.answers == answers:
        return None
    text = read_answers_text(path)
    written = amend(text, synced.answers)
    save_text(written, path)
    if synced.answers.credentials == answers.credentials:
        return synced.notices
    lost = (LOST_COMMENTS,) if lost_comments(text, written) else ()
    return (*synced.notices, f"Updated {path.name}.", *lost)


@dataclass(frozen=True)
class AnswersSync:
    """The outcome for the answers of a change of the users.

    Attributes:
        is_saved: Whether the answers file was written.
        notices: What the operator should know, one sentence each.
        failure: Why the file could not be updated; None if it was, or if there is none.
    """

    is_saved: bool = False
    notices: tuple[str, ...] = ()
    failure: MoorageError | None = None


def sync_answers(domain: str, file: Path | None, change: UsersChange) -> AnswersSync:
    """Update the answers on this machine after a change of a deployment's users. Blocks.

    Args:
        domain: The registry's name.
        file: The answers file; None if there is none or it must not change.
        change: The change.
    """
    sync_applied(domain, change)
    if file is None:
        return AnswersSync()
    try:
        notices = sync_file(file, change)
    except MoorageError as error:
        failure = MoorageError(
            f"The servers were updated, but {file} was not: {error}",
            advice="Applying it may undo this change.",
            code="answers_not_updated",
        )
        return AnswersSync(failure=failure)
    return AnswersSync(notices is not None, notices or ())


def sync_applied(domain: str, change: UsersChange) -> None:
    """Update the copy of the answers applied last, which drafts are compared with. Never fails.

    Args:
        domain: The registry's name.
        change: The change.
    """
    kept = applied_file(domain)
    with suppress(MoorageError, OSError):
        write_private(kept, dump(sync(load(kept), change).answers).encode())


def sync(answers: Answers, change: UsersChange) -> SyncedAnswers:
    """Return answers that do not undo a change of the users.

    Nothing else is touched: answers may contain changes that have not been applied yet.

    Args:
        answers: The answers.
        change: The change.
    """
    before, after, revisions = change.before, change.after, change.revisions
    if revisions is not None and answers.based_on == revisions[0]:
        answers = answers.model_copy(update={"based_on": revisions[1]})
    was = {user.name: user for user in before}
    now = {user.name: user for user in after}
    notices: list[str] = []
    users: list[User] = []
    for user in answers.credentials.users:
        old, new = was.get(user.name), now.get(user.name)
        if new is not None and new != old:
            users.append(_followed(user, old, new, change.reference, notices))
        elif new is not None or old is None:
            users.append(user)
    listed = {user.name for user in users}
    for name in change.listed:
        if name not in listed:
            users.append(_user(now[name]))
    if not users:
        # Answers must list at least one user.
        left = next(user for user in after if not user.disabled)
        notices.append(f"Added {left.name} to the answers, which must list at least one user.")
        users.append(_user(left))
    if tuple(users) == answers.credentials.users:
        return SyncedAnswers(answers)
    credentials = Credentials(users=tuple(users))
    return SyncedAnswers(answers.model_copy(update={"credentials": credentials}), tuple(notices))


def _followed(
    user: User,
    old: RegistryUser | None,
    new: RegistryUser,
    reference: PasswordReference | None,
    notices: list[str],
) -> User:
    update: dict[str, object] = {}
    if old is None or (old.access, old.repositories) != (new.access, new.repositories):
        update |= {"access": new.access or "pull", "repositories": new.repositories}
    if old is None or old.disabled != new.disabled:
        update["disabled"] = new.disabled
    is_same_reference = reference is not None and user.password == reference
    if (old is None or old.hash != new.hash) and not is_same_reference:
        if user.password != KEEP_PASSWORD:
            notices.append(
                f"The password of {user.name} in the answers was out of date: it is now "
                "{generate: true}, which keeps the password on the servers."
            )
        update["password"] = KEEP_PASSWORD
    return user.model_copy(update=update)


def _user(user: RegistryUser) -> User:
    return User(
        name=user.name,
        access=user.access or "pull",
        repositories=user.repositories,
        disabled=user.disabled,
        password=KEEP_PASSWORD,
    )
