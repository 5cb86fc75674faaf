"""What one session of the wizard is about: the draft, its file, and the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tui.draft import Draft
from tui.engine import WizardEngine
from tui.flow import Progress


@dataclass
class Session:
    """One deployment that is open in the wizard.

    Attributes:
        draft: What was typed so far.
        engine: Plans, applies and verifies.
        draft_file: Where the draft is kept.
        path: The answers file, once there is one.
        progress: Where the operator is.
        saved: The draft as it is in the answers file, without secrets.
        tested: What the test of a server said, by host: whether it was good, and a sentence.
    """

    draft: Draft
    engine: WizardEngine
    draft_file: Path
    path: Path | None = None
    progress: Progress = field(default_factory=Progress)
    saved: dict[str, object] | None = None
    tested: dict[str, tuple[bool, str]] = field(default_factory=dict)

    @property
    def is_saved(self) -> bool:
        """Whether the answers file holds the draft."""
        return self.saved is not None and self.saved == self.draft.without_secrets()
