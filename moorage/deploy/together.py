"""Several servers as one act: all stage, all commit, and a failure of one undoes it everywhere."""

from __future__ import annotations

import threading

from moorage.deploy.events import Committed, Event, OnEvent, RunEnded, Staged
from moorage.deploy.run import ServerRun

PATIENCE = 20.0
"""Seconds to wait for servers that were told to commit. Less than they wait for a word themselves
(``payload.KEEP_SECONDS``), so that the others still hear that the change is undone."""


class Together:
    """Says go to all servers once all have staged, and keep or undo once all have committed.

    Args:
        on_event: Takes events.
        patience: Seconds to wait for servers that were told to commit.

    Attributes:
        runs: One run per server.
        failed: The first server that failed, by label.
    """

    def __init__(self, on_event: OnEvent, patience: float = PATIENCE) -> None:
        self.runs: list[ServerRun] = []
        self.failed: str | None = None
        self._on_event = on_event
        self._patience = patience
        self._staged: set[str] = set()
        self._committed: set[str] = set()
        self._ended: dict[str, RunEnded] = {}
        self._changed = threading.Condition()

    def on_event(self, event: Event) -> None:
        """Note what concerns the act, and hand the event on."""
        with self._changed:
            if isinstance(event, Staged):
                self._staged.add(event.server)
            elif isinstance(event, Committed):
                self._committed.add(event.server)
            elif isinstance(event, RunEnded):
                self._ended[event.server] = event
                if event.status != "done" and self.failed is None:
                    self.failed = event.server
            self._changed.notify_all()
        self._on_event(event)

    def conduct(self) -> None:
        """Lead all runs to the same end; blocks until all was said."""
        everyone = {run.server for run in self.runs}
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._staged >= everyone)
            is_staged = not self._ended
        if is_staged:
            for run in self.runs:
                run.go()
            with self._changed:
                self._changed.wait_for(
                    lambda: self._ended or self._committed >= everyone, timeout=self._patience
                )
                if self._committed >= everyone and not self._ended:
                    for run in self.runs:
                        run.keep()
                    return
                silent = everyone - self._committed - set(self._ended)
                if self.failed is None and silent:
                    self.failed = min(silent)
        for run in self.runs:
            # Whichever of the two a run still waits for; the other is of no consequence.
            run.abort()
            run.undo()
