"""Users and their changes as text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from moorage.answers.repository_rules import repositories_note
from moorage.desired.users import RegistryUser
from moorage.rows import Action
from moorage.users.passwords import hash_kind

_MOST_NAMES = 4
_GENERATED = "generated password"


@dataclass(frozen=True)
class UserDifference:
    """The change of one user.

    Attributes:
        action: Whether the user is added, changed or removed.
        name: The user's name.
        text: The new user's access, or what changes.
        fields: password, access or disabled, for a changed user; empty otherwise.
        note: What to know about the new access; empty if there is nothing.
    """

    action: Action
    name: str
    text: str
    fields: tuple[str, ...] = ()
    note: str = ""

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


def notes(changes: Sequence[UserDifference]) -> list[str]:
    """Return what to know about changes, each note once."""
    return list(dict.fromkeys(each.note for each in changes if each.note))


def differences(
    before: Sequence[RegistryUser],
    after: Sequence[RegistryUser],
    generated: Collection[str] = (),
) -> list[UserDifference]:
    """Return the changes between two lists of users, sorted by name.

    Args:
        before: The current users.
        after: The future users.
        generated: The users whose new password was generated.
    """
    old = {user.name: user for user in before}
    new = {user.name: user for user in after}
    found = []
    for name in sorted({*old, *new}, key=lambda each: (each.lower(), each)):
        was, will = old.get(name), new.get(name)
        if was is None and will is not None:
            disabled = ", disabled" if will.disabled else ""
            password = _GENERATED if name in generated else f"{hash_kind(will.hash)} hash"
            text = f"{rights(will)}{disabled} ({password})"
            note = repositories_note(will.repositories)
            found.append(UserDifference(Action.ADD, name, text, note=note))
        elif will is None:
            found.append(UserDifference(Action.REMOVE, name, "removed, including the password"))
        elif was is not None and was != will:
            changed = dict(_changes(was, will, name in generated))
            text = "; ".join(changed.values())
            note = repositories_note(will.repositories) if "access" in changed else ""
            found.append(UserDifference(Action.CHANGE, name, text, tuple(changed), note))
    return found


def _changes(
    was: RegistryUser, will: RegistryUser, is_generated: bool
) -> Iterator[tuple[str, str]]:
    if was.hash != will.hash:
        yield "password", _GENERATED if is_generated else "password"
    if rights(was) != rights(will):
        yield "access", f"{rights(was)} → {rights(will)}"
    if was.disabled != will.disabled:
        yield "disabled", "disabled" if will.disabled else "re-enabled"


def count_text(changes: Sequence[UserDifference]) -> str:
    """Return the number of users added, changed and removed, such as ``1 user added``."""
    parts: list[str] = []
    for action in (Action.ADD, Action.CHANGE, Action.REMOVE):
        count = sum(1 for each in changes if each.action is action)
        if count:
            noun = "" if parts else "user " if count == 1 else "users "
            parts.append(f"{count} {noun}{action.participle}")
    return ", ".join(parts)


def names_text(changes: Sequence[UserDifference]) -> str:
    """Return a short summary such as ``+ ana, - bob``; empty without changes."""
    names = [f"{each.sign} {each.name}" for each in changes]
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES] + ([f"and {more} more"] if more > 0 else []))
