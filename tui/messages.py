"""Messages from widgets, screens and engine threads to the application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from moorage.deploy.events import Event
    from moorage.deploy.logs.rows import LogFilter
    from moorage.desired.users import RegistryUser
    from tui.document.steps import Step
    from tui.questions.asker import Question


class FormSubmitted(Message):
    """The form was submitted; the next step follows."""


class BackRequested(Message):
    """Go back."""


class StepRequested(Message):
    """Open a step."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step


class DraftChanged(Message):
    """The draft changed."""


class QuestionAsked(Message):
    """An engine thread has a question and waits for the answer."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question


class EngineEvents(Message, bubble=False):
    """New events on the servers, in order."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__()
        self.events = tuple(events)


class TestProgressed(Message, bubble=False):
    """Progress of a running test.

    Attributes:
        test: The number of the attempt, to recognise late messages of one that was cancelled.
        text: The progress, as one line.
    """

    def __init__(self, test: int, text: str) -> None:
        super().__init__()
        self.test = test
        self.text = text


class UsersRequested(Message):
    """Open the users."""


class UsersChanged(Message):
    """The users on the servers were changed.

    Attributes:
        before: The users as they were.
        after: The users as they are.
        listed: New users to add to the answers as well.
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


class SettingsRequested(Message):
    """Open the wizard on the open deployment.

    Attributes:
        reviews: Whether to begin with Review.
        at: The path in the answers to begin at, such as ``retention``; empty for the first step.
    """

    def __init__(self, *, reviews: bool = False, at: str = "") -> None:
        super().__init__()
        self.reviews = reviews
        self.at = at


class LogsRequested(Message):
    """Open the logs of the open deployment.

    Attributes:
        rows: The requests to show; None for everything.
    """

    def __init__(self, rows: LogFilter | None = None) -> None:
        super().__init__()
        self.rows = rows


class ImagesRequested(Message):
    """Open the images of the open deployment.

    Attributes:
        repository: The repository to go to; empty for none.
    """

    def __init__(self, repository: str = "") -> None:
        super().__init__()
        self.repository = repository


class ConnectRequested(Message):
    """Read a deployment from servers that already run it.

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


class NewRequested(Message):
    """Start a new deployment."""


class FileRequested(Message):
    """Open an answers file, or a draft of one.

    Attributes:
        path: The file.
        users: Whether to begin with its users.
    """

    def __init__(self, path: str, *, users: bool = False) -> None:
        super().__init__()
        self.path = path
        self.users = users


class ApplyRequested(Message):
    """Apply the reviewed plan."""


class AttachRequested(Message):
    """Follow the runs in progress, then verify the registry."""


class ApplyEnded(Message):
    """The apply and its checks are over; show the result."""


class AppliedFound(Message):
    """The servers show that the open deployment has been applied.

    Attributes:
        at: The time of the apply, in seconds since 1970; None if unknown.
        is_hearsay: Whether only the record says so; that does not replace what this machine knows.
        revision: The deployment's revision now; 0 for that of the open plan.
    """

    def __init__(
        self, at: float | None = None, *, is_hearsay: bool = False, revision: int = 0
    ) -> None:
        super().__init__()
        self.at = at
        self.is_hearsay = is_hearsay
        self.revision = revision


class Uninstalled(Message):
    """The registry was removed from all servers of the deployment."""


class SaveRequested(Message):
    """Save the answers."""


class AnswersSaved(Message, bubble=False):
    """The answers were saved.

    Attributes:
        text: Where, and what is still missing, in a few words.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
