"""What one session of the wizard is about: the draft, its file, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from moorage.answers.model import Answers
from moorage.answers.recorded import Path as RecordedPath
from moorage.deploy.operations import Operations
from moorage.errors import MoorageError
from moorage.recents import applied_file
from tui.document.draft import Draft
from tui.document.steps import Progress
from tui.events import EventQueue


@dataclass
class Session:
    """One deployment that is open in the wizard.

    Attributes:
        draft: What was typed so far.
        operations: What can be done with the deployment.
        events: What happened on its servers.
        draft_file: Where the draft is kept.
        path: The answers file, once there is one.
        progress: Where the operator is.
        saved: The draft as it is in the answers file, without secrets.
        text: The answers file as it was read or written last.
        tested: What the test of a server said, by host: whether it was good, and a sentence.
        read: What a server said is applied, where the deployment was read from one.
        left_out: Why other servers of the deployment that was read are not connected to.
        unconfirmed: What the record has that was read and only the operator may say, by its path.
        is_applied: Whether the draft is as it was last applied, and that went well.
        seen: The deployment's revision when the servers were first read, for answers that do not
            say which one they know.
    """

    draft: Draft
    operations: Operations
    events: EventQueue
    draft_file: Path
    path: Path | None = None
    progress: Progress = field(default_factory=Progress)
    saved: dict[str, object] | None = None
    text: str = ""
    tested: dict[str, tuple[bool, str]] = field(default_factory=dict)
    read: Draft | None = None
    left_out: tuple[MoorageError, ...] = ()
    unconfirmed: Mapping[RecordedPath, object] = field(default_factory=dict)
    is_applied: bool = False
    seen: int | None = None

    def answers(self) -> Answers:
        """Return the finished answers, which know a revision as soon as the servers were read.

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

    @property
    def is_saved(self) -> bool:
        """Whether the answers file holds the draft."""
        return self.saved is not None and self.saved == self.draft.without_secrets()

    @property
    def kept(self) -> str:
        """How the answers are kept, in words; empty when the answers file holds everything."""
        if self.is_saved:
            return ""
        was_applied = self.read is not None or applied_file(self.draft.domain).is_file()
        return "not saved" if was_applied else "draft"
