"""What widgets, screens and engine threads tell the application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from moorage.deploy.events import Event
    from moorage.desired.users import RegistryUser
    from tui.document.steps import Step
    from tui.questions.asker import Question


class GoOn(Message):
    """The operator wants to go on from here."""


class GoBack(Message):
    """The operator wants to go back from here."""


class JumpTo(Message):
    """The operator wants to see a step."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step


class DraftChanged(Message):
    """Something in the draft is different."""


class AskOperator(Message):
    """A thread of the engine wants to know something and waits."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question


class EngineEvents(Message, bubble=False):
    """What happened on the servers since the last time, in order."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__()
        self.events = tuple(events)


class TestTold(Message, bubble=False):
    """A test that goes on has something to say.

    Attributes:
        test: Which attempt, so that late words of one that was given up are known.
        text: What, as a line.
    """

    def __init__(self, test: int, text: str) -> None:
        super().__init__()
        self.test = test
        self.text = text


class UsersWanted(Message):
    """The registry's users are to be managed."""


class UsersChanged(Message):
    """The users on the servers were changed.

    Attributes:
        before: The users as they were.
        after: The users as they are.
        listed: New users that the answers are to list, too.
        revisions: The deployment's revision before and after; None where it did not change.
    """

    def __init__(
        self,
        before: Sequence[RegistryUser],
        after: Sequence[RegistryUser],
        listed: tuple[str, ...],
        revisions: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.before = before
        self.after = after
        self.listed = listed
        self.revisions = revisions


class SettingsWanted(Message):
    """The wizard is wanted on what is open.

    Attributes:
        reviews: Whether to begin with Review.
    """

    def __init__(self, *, reviews: bool = False) -> None:
        super().__init__()
        self.reviews = reviews


class LogsWanted(Message):
    """The logs of the open deployment are to be followed."""


class ConnectWanted(Message):
    """Servers are to be read that run Moorage already.

    Attributes:
        addresses: ``USER@HOST:PORT`` or an alias, each.
        key: The key file, or empty.
        users: Whether to begin with its users.
    """

    def __init__(self, addresses: tuple[str, ...], key: str, *, users: bool = False) -> None:
        super().__init__()
        self.addresses = addresses
        self.key = key
        self.users = users


class OpenNew(Message):
    """Start a new deployment."""


class OpenFile(Message):
    """Open an answers file, or a draft of one.

    Attributes:
        path: The file.
        users: Whether to begin with its users.
    """

    def __init__(self, path: str, *, users: bool = False) -> None:
        super().__init__()
        self.path = path
        self.users = users


class ApplyWanted(Message):
    """The reviewed plan is to be applied."""


class AttachWanted(Message):
    """The runs that go on are to be followed."""


class ApplyOver(Message):
    """Applying and verifying are over; show how it ended."""


class AppliedFound(Message):
    """What the servers say shows that what is open is applied.

    Attributes:
        at: When it was, seconds since 1970; None where that is not known.
        is_hearsay: Whether a record alone says so: that does not replace what is known here.
    """

    def __init__(self, at: float | None = None, *, is_hearsay: bool = False) -> None:
        super().__init__()
        self.at = at
        self.is_hearsay = is_hearsay


class SaveWanted(Message):
    """The answers are to be saved."""


class AnswersSaved(Message, bubble=False):
    """The answers were saved.

    Attributes:
        text: Where, in a few words, and what is still missing.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
