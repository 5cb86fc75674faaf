"""A screen whose staged changes are lost when it is left."""

from __future__ import annotations

from collections.abc import Callable

from textual import work

from tui.styled_once import StyledOnce
from tui.widgets.dialog import ConfirmDialog, LeaveQuestion


class StagingScreen(StyledOnce[None]):
    """Asks before it is left, if something is staged."""

    @property
    def leave_question(self) -> tuple[str, str] | None:
        """The title and text of the question; None if nothing is staged."""
        raise NotImplementedError

    def ask_to_leave(self, leave: Callable[[], object], *, ends: bool = False) -> None:
        """Leave, after a question if something is staged.

        Args:
            leave: Leaves.
            ends: Whether the wizard ends.
        """
        if (question := self.leave_question) is None:
            leave()
        else:
            dialog = LeaveQuestion if ends else ConfirmDialog
            self._confirm_leaving(leave, dialog(*question, "Discard and leave", careful=True))

    @work
    async def _confirm_leaving(self, leave: Callable[[], object], dialog: ConfirmDialog) -> None:
        if await self.app.push_screen_wait(dialog):
            leave()
