"""Changes of the users that are not applied yet. No Textual in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from moorage.answers.secrets import Secret
from moorage.desired.users import RegistryUser
from moorage.users.describe import UserDifference, differences
from moorage.users.edits import Users, WrongUserError

Edit = Callable[[Users], Users]
"""Returns the users with a change; raises WrongUserError if it is not possible."""


@dataclass(frozen=True)
class StagedChange:
    """One change, as the operator made it.

    Attributes:
        summary: The change as a short phrase.
        edit: Makes the change.
        generated: The passwords generated for it, by user.
        listed: The new users that an answers file should list, too.
    """

    summary: str
    edit: Edit
    generated: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    listed: tuple[str, ...] = ()


class Staging:
    """The users on the servers, and with the staged changes.

    Attributes:
        base: The users as they were read.
        users: The users with all staged changes.
    """

    def __init__(self) -> None:
        self.base: Users = ()
        self.users: Users = ()
        self._changes: list[StagedChange] = []

    def begin(self, base: Sequence[RegistryUser]) -> list[str]:
        """Apply the staged changes to the users as they were read.

        Returns:
            The changes that are no longer possible, because the servers have changed.
        """
        self.base = self.users = tuple(base)
        lost = []
        kept = []
        for change in self._changes:
            try:
                self.users = change.edit(self.users)
            except WrongUserError as error:
                lost.append(f"{change.summary}: {error.message}")
            else:
                kept.append(change)
        self._changes = kept
        return lost

    def add(self, change: StagedChange) -> None:
        """Stage a change.

        Raises:
            WrongUserError: The change is not possible.
        """
        self.users = change.edit(self.users)
        self._changes.append(change)

    def undo(self) -> str:
        """Undo the last change and return its summary; empty if there is none."""
        if not self._changes:
            return ""
        last = self._changes.pop()
        self.begin(self.base)
        return last.summary

    def clear(self) -> None:
        """Drop all staged changes."""
        self._changes.clear()
        self.users = self.base

    @property
    def count(self) -> int:
        """The number of staged changes."""
        return len(self._changes)

    @property
    def listed(self) -> tuple[str, ...]:
        """The new users that an answers file should list, too."""
        names = {name for change in self._changes for name in change.listed}
        return tuple(user.name for user in self.users if user.name in names)

    @property
    def generated_passwords(self) -> dict[str, Secret]:
        """The generated passwords that will be valid, by user."""
        found: dict[str, Secret] = {}
        for change in self._changes:
            found |= change.generated
        before = {user.name: user.hash for user in self.base}
        return {
            user.name: found[user.name]
            for user in self.users
            if user.name in found and user.hash != before.get(user.name)
        }

    @property
    def differences(self) -> list[UserDifference]:
        """The effect of all staged changes, by user."""
        return differences(self.base, self.users, self.generated_passwords)
