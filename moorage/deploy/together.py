"""Several servers as one act: all stage, all commit, and a failure of one undoes it everywhere."""

from __future__ import annotations

from moorage.deploy.conductor import Conductor
from moorage.deploy.events import OnEvent

PATIENCE = 20.0
"""Seconds to wait for servers that were told to commit. Less than they wait for a word themselves
(``payload.KEEP_SECONDS``), so that the others still hear that the change is undone."""


class Together(Conductor):
    """Says go to all servers once all have staged, and keep or undo once all have committed.

    Args:
        on_event: Takes events.
        patience: Seconds to wait for servers that were told to commit.
    """

    def __init__(self, on_event: OnEvent, patience: float = PATIENCE) -> None:
        super().__init__(on_event)
        self._patience = patience
        self._silent: set[str] = set()

    @property
    def failed(self) -> str | None:
        """The server for whose sake the others undo the change, by label; None when all is well.

        Of those that failed by themselves the first.
        """
        ended = [each.server for each in self._ended.values() if each.status != "done"]
        return min(self._silent) if self._silent else next(iter(ended), None)

    def conduct(self) -> None:
        """Lead all runs to the same end; blocks until all was said."""
        if self._wait_until_staged() is None and self._is_committed_everywhere():
            for run in self.runs:
                run.keep()
            return
        for run in self.runs:
            # Whichever of the two a run still waits for; the other is of no consequence.
            run.abort()
            run.undo()

    def _is_committed_everywhere(self) -> bool:
        for run in self.runs:
            run.go()
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or self._committed >= self._everyone, timeout=self._patience
            )
            if not self._ended:
                self._silent = self._everyone - self._committed
            return not self._ended and not self._silent
