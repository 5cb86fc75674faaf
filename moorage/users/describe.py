"""Users and their changes as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moorage.desired.users import RegistryUser
from moorage.rows import Action
from moorage.users.passwords import hash_kind

_MOST_NAMES = 4


@dataclass(frozen=True)
class UserDifference:
    """The change of one user.

    Attributes:
        action: Whether the user is added, changed or removed.
        name: The user's name.
        text: The new user's access, or what changes.
        fields: password, access or disabled, for a changed user; empty otherwise.
    """

    action: Action
    name: str
    text: str
    fields: tuple[str, ...] = ()

    @property
    def sign(self) -> str:
        """``+``, ``~`` or ``-``."""
        return self.action.sign


def rights(user: RegistryUser) -> str:
    """Return a user's access and the repositories it covers."""
    if user.access is None:
        return "no access"
    return f"{user.access} {' '.join(user.repositories) or 'all repositories'}"


def repositories(user: RegistryUser) -> str:
    """Return the repositories a user has access to."""
    return " ".join(user.repositories) or "all"


def differences(
    before: Sequence[RegistryUser], after: Sequence[RegistryUser]
) -> list[UserDifference]:
    """Return the changes between two lists of users, sorted by name.

    Args:
        before: The current users.
        after: The future users.
    """
    old = {user.name: user for user in before}
    new = {user.name: user for user in after}
    found = []
    for name in sorted({*old, *new}, key=lambda each: (each.lower(), each)):
        was, will = old.get(name), new.get(name)
        if was is None and will is not None:
            disabled = ", disabled" if will.disabled else ""
            text = f"{rights(will)}{disabled} ({hash_kind(will.hash)} hash)"
            found.append(UserDifference(Action.ADD, name, text))
        elif will is None:
            found.append(UserDifference(Action.REMOVE, name, "removed, including the password"))
        elif was is not None and was != will:
            changed = dict(_changes(was, will))
            text = "; ".join(changed.values())
            found.append(UserDifference(Action.CHANGE, name, text, tuple(changed)))
    return found


def _changes(was: RegistryUser, will: RegistryUser) -> Iterator[tuple[str, str]]:
    if was.hash != will.hash:
        yield "password", "password"
    if rights(was) != rights(will):
        yield "access", f"{rights(was)} → {rights(will)}"
    if was.disabled != will.disabled:
        yield "disabled", "disabled" if will.disabled else "re-enabled"


def count_text(changes: Sequence[UserDifference]) -> str:
    """Return the number of users added, changed and removed, as text."""
    parts = []
    for action in (Action.ADD, Action.CHANGE, Action.REMOVE):
        count = sum(1 for each in changes if each.action is action)
        if count:
            parts.append(f"{count} {action.participle}")
    return ", ".join(parts)


def names_text(changes: Sequence[UserDifference]) -> str:
    """Return a short summary such as ``+ ana, - bob``; empty without changes."""
    names = [f"{each.sign} {each.name}" for each in changes]
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES] + ([f"and {more} more"] if more > 0 else []))
