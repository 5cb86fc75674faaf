"""What is known of several servers' runs while they go on, for those who lead them."""

from __future__ import annotations

import threading

from moorage.deploy.events import Committed, Event, OnEvent, RunEnded, Staged
from moorage.deploy.run import ServerRun


class Conductor:
    """Notes how far each server's run has come, and hands all events on.

    Attributes:
        runs: One run per server.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self.runs: list[ServerRun] = []
        self._on_event = on_event
        self._staged: set[str] = set()
        self._committed: set[str] = set()
        self._ended: dict[str, RunEnded] = {}
        self._changed = threading.Condition()

    def on_event(self, event: Event) -> None:
        """Hand an event on, then note what concerns the runs' order."""
        try:
            self._on_event(event)
        finally:
            self._note(event)

    def _note(self, event: Event) -> None:
        with self._changed:
            if isinstance(event, Staged):
                self._staged.add(event.server)
            elif isinstance(event, Committed):
                self._committed.add(event.server)
            elif isinstance(event, RunEnded):
                self._ended[event.server] = event
            self._changed.notify_all()

    @property
    def _everyone(self) -> set[str]:
        return {run.server for run in self.runs}

    def _wait_until_staged(self) -> RunEnded | None:
        """Wait until every server has staged; return the first run that ended before, if any."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._staged >= self._everyone)
            return next(iter(self._ended.values()), None)
