"""The open deployment: its draft, its file, and the operations on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moorage.answers.load import loads_draft
from moorage.answers.model import Answers
from moorage.answers.recorded import Path as RecordedPath
from moorage.deploy.operations import Operations
from moorage.errors import MoorageError
from moorage.recents import applied_file
from tui.document.draft import Draft
from tui.document.steps import Progress
from tui.events import EventQueue


@dataclass
class WizardSession:
    """A deployment that is open in the wizard.

    Attributes:
        draft: The draft.
        operations: The operations on the deployment.
        events: Events on its servers.
        draft_file: The file the draft is saved in.
        path: The answers file, once there is one.
        progress: The current step and the ones before it.
        saved: The draft as saved in the answers file, without secrets.
        base: The content of the answers file that the draft was made from, without secrets.
        text: The answers file as last read or written.
        tested: The result of each server's test, by host: whether it was good, and a sentence.
        read: The applied answers, if the deployment was read from a server.
        left_out: Errors of the deployment's other servers, which are not connected to.
        unconfirmed: Values in the server's record that the operator has to confirm, by path.
        is_applied: Whether the draft has been applied successfully and not changed since.
        seen: The deployment's revision when the servers were first read, for answers that do not
            name the one they are based on.
    """

    draft: Draft
    operations: Operations
    events: EventQueue
    draft_file: Path
    path: Path | None = None
    progress: Progress = field(default_factory=Progress)
    saved: dict[str, Any] | None = None
    base: dict[str, Any] | None = None
    text: str = ""
    tested: dict[str, tuple[bool, str]] = field(default_factory=dict)
    read: Draft | None = None
    left_out: tuple[MoorageError, ...] = ()
    unconfirmed: Mapping[RecordedPath, object] = field(default_factory=dict)
    is_applied: bool = False
    seen: int | None = None

    def answers(self) -> Answers:
        """Return the finished answers, based on a revision once the servers have been read.

        Raises:
            AnswersError: Something is wrong or missing.
        """
        answers = self.draft.answers()
        if answers.based_on is not None:
            return answers
        return answers.model_copy(update={"based_on": self.seen})

    def know(self, revision: int) -> None:
        """Base the answers on another revision of the deployment."""
        if self.draft.get("based_on") is None:
            self.seen = revision
        else:
            self.draft.set("based_on", revision)

    def note_read(self, data: dict[str, Any], text: str) -> None:
        """Note the answers file as it was read.

        Args:
            data: Its content, without secrets.
            text: Its text.
        """
        self.saved = self.base = data
        self.text = text

    def note_saved(self, data: dict[str, Any], text: str) -> None:
        """Note what the answers file has now, as the draft has it, too.

        Args:
            data: Its content, without secrets.
            text: Its text.
        """
        self.saved = data
        self.note_file(text)

    def note_file(self, text: str) -> None:
        """Note that the draft has all that the answers file has now.

        Args:
            text: The file's text.
        """
        self.text = text
        # As the file is read again: it leaves out what is the default.
        self.base = Draft(loads_draft(text).data).without_secrets()

    def discard_changes(self) -> None:
        """Go back to the answers file; a draft that was never saved stays."""
        if self.saved is not None:
            self.draft = type(self.draft)(self.saved)
            self.is_applied = False

    @property
    def is_saved(self) -> bool:
        """Whether the answers file has the draft."""
        return self.saved is not None and self.saved == self.draft.without_secrets()

    @property
    def saved_state(self) -> str:
        """``draft`` or ``not saved``; empty if the answers file has everything."""
        if self.is_saved:
            return ""
        # While the name is being edited, the file still has the one that was applied.
        names = [self.draft.domain, *([Draft(self.saved).domain] if self.saved else [])]
        was_applied = self.read is not None or any(applied_file(each).is_file() for each in names)
        return "not saved" if was_applied else "draft"
