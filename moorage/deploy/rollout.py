"""Several servers: all are staged before the first is switched, and a failure stops the rest."""

from __future__ import annotations

import threading

from moorage.deploy.events import Event, OnEvent, RunEnded, Staged
from moorage.deploy.run import ServerRun


class Rollout:
    """Says go to staged servers in the order the answers want, and stops at the first failure."""

    def __init__(self, order: str, on_event: OnEvent) -> None:
        self.runs: list[ServerRun] = []
        self.aborted: dict[str, str] = {}
        self._order = order
        self._on_event = on_event
        self._staged: set[str] = set()
        self._ended: dict[str, RunEnded] = {}
        self._changed = threading.Condition()

    def on_event(self, event: Event) -> None:
        """Note what concerns the rollout, and hand the event on."""
        with self._changed:
            if isinstance(event, Staged):
                self._staged.add(event.server)
            elif isinstance(event, RunEnded):
                self._ended[event.server] = event
            self._changed.notify_all()
        self._on_event(event)

    def conduct(self) -> None:
        """Wait until every server has staged, then switch; blocks until all was said."""
        everyone = {run.server for run in self.runs}
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._staged >= everyone)
            failed = next(iter(self._ended.values()), None)
        if failed is not None:
            self._abort_the_rest(f"not switched, because {failed.server} failed before the switch")
            return
        if self._order == "all_at_once":
            for run in self.runs:
                run.go()
            return
        for run in self.runs:
            run.go()
            with self._changed:
                self._changed.wait_for(lambda run=run: run.server in self._ended)  # type: ignore[misc]
                ended = self._ended[run.server]
            if ended.status != "done":
                self._abort_the_rest(f"not switched, because {run.server} failed")
                return

    def _abort_the_rest(self, why: str) -> None:
        for run in self.runs:
            if run.server not in self._ended:
                self.aborted[run.server] = why
                run.abort()
