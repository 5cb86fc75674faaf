"""Changes to the users that are decided and not applied yet. Knows nothing of Textual."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from moorage.answers.secrets import Secret
from moorage.desired.users import RegistryUser
from moorage.users.describe import UserDifference, differences
from moorage.users.edits import Users, WrongUserError

Edit = Callable[[Users], Users]
"""Returns the users with a change; raises WrongUserError when it cannot be made."""


@dataclass(frozen=True)
class StagedChange:
    """One decision.

    Attributes:
        words: What it does, for people.
        edit: Does it.
        made: The passwords that Moorage made for it, by user.
        listed: New users that an answers file is to list, too.
    """

    words: str
    edit: Edit
    made: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    listed: tuple[str, ...] = ()


class Staging:
    """The users as they are on the servers, and as they will be.

    Attributes:
        base: The users as they were read.
        users: The users with all staged changes.
    """

    def __init__(self) -> None:
        self.base: Users = ()
        self.users: Users = ()
        self._changes: list[StagedChange] = []

    def begin(self, base: Sequence[RegistryUser]) -> list[str]:
        """Take the users as they were read, and make the staged changes on them.

        Returns:
            What cannot be done any more, because somebody else was faster.
        """
        self.base = self.users = tuple(base)
        lost = []
        kept = []
        for change in self._changes:
            try:
                self.users = change.edit(self.users)
            except WrongUserError as error:
                lost.append(f"{change.words}: {error.message}")
            else:
                kept.append(change)
        self._changes = kept
        return lost

    def add(self, change: StagedChange) -> None:
        """Stage a change.

        Raises:
            WrongUserError: It cannot be made.
        """
        self.users = change.edit(self.users)
        self._changes.append(change)

    def undo(self) -> str:
        """Take the last change back and return what it was; empty when there is none."""
        if not self._changes:
            return ""
        last = self._changes.pop()
        self.begin(self.base)
        return last.words

    def clear(self) -> None:
        """Forget the staged changes, because they were applied or are not wanted."""
        self._changes.clear()
        self.users = self.base

    @property
    def count(self) -> int:
        """How many decisions are staged."""
        return len(self._changes)

    @property
    def listed(self) -> tuple[str, ...]:
        """The new users that an answers file is to list, too."""
        names = {name for change in self._changes for name in change.listed}
        return tuple(user.name for user in self.users if user.name in names)

    @property
    def made(self) -> dict[str, Secret]:
        """The passwords that Moorage made, by user; only those that will be in force."""
        found: dict[str, Secret] = {}
        for change in self._changes:
            found |= change.made
        before = {user.name: user.hash for user in self.base}
        return {
            user.name: found[user.name]
            for user in self.users
            if user.name in found and user.hash != before.get(user.name)
        }

    @property
    def differences(self) -> list[UserDifference]:
        """What all staged changes come to, by user."""
        return differences(self.base, self.users)
