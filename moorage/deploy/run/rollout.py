"""Coordinate the runs of several servers: stage all, then switch, keep or undo."""

from __future__ import annotations

import threading

from moorage.deploy.events import Committed, Event, OnEvent, RunEnded, Staged
from moorage.deploy.run.run import ServerRun
from moorage.servers.run_results import RunStatus

PATIENCE = 40.0
"""Seconds to wait for servers to commit.

Less than servers wait for the decision (``payload.KEEP_SECONDS``), so that they still get it when
one of them does not answer.
"""


class _Servers:
    """Tracks the progress of each server's run, and forwards all events.

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
        """Forward an event, then record the run's progress."""
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
    def _all(self) -> set[str]:
        return {run.server for run in self.runs}

    def _wait_until_staged(self) -> RunEnded | None:
        """Wait until all servers are staged; return the first run that ended before, if any."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._staged >= self._all)
            return next(iter(self._ended.values()), None)


class Rollout(_Servers):
    """An apply: all servers are staged before the first one switches; a failure stops the rest.

    Args:
        order: ``rolling`` or ``all_at_once``.
        on_event: Called with events.
    """

    def __init__(self, order: str, on_event: OnEvent) -> None:
        super().__init__(on_event)
        self.aborted: dict[str, str] = {}
        self._order = order

    def conduct(self) -> None:
        """Wait until all servers are staged, then let them switch. Blocks."""
        failed = self._wait_until_staged()
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
            if ended.status is not RunStatus.DONE:
                self._abort_the_rest(f"not switched, because {run.server} failed")
                return

    def _abort_the_rest(self, why: str) -> None:
        for run in self.runs:
            if run.server not in self._ended:
                self.aborted[run.server] = why
                run.abort()


class AllOrNothing(_Servers):
    """A change of the users: a failure on one server undoes the change on all of them.

    Args:
        on_event: Called with events.
        patience: Seconds to wait for servers to commit.
    """

    def __init__(self, on_event: OnEvent, patience: float = PATIENCE) -> None:
        super().__init__(on_event)
        self.patience = patience
        self._silent: set[str] = set()

    @property
    def failed(self) -> str | None:
        """The label of the server because of which the others undo the change, or None."""
        ended = [each.server for each in self._ended.values() if each.status is not RunStatus.DONE]
        return min(self._silent) if self._silent else next(iter(ended), None)

    def conduct(self) -> None:
        """Bring all runs to the same result. Blocks until all have been signalled."""
        if self._wait_until_staged() is None and self._is_committed_everywhere():
            for run in self.runs:
                run.keep()
            return
        for run in self.runs:
            # A run waits for one of these, depending on its progress; it ignores the other.
            run.abort()
            run.undo()

    def _is_committed_everywhere(self) -> bool:
        for run in self.runs:
            run.go()
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or self._committed >= self._all, timeout=self.patience
            )
            if not self._ended:
                self._silent = self._all - self._committed
            return not self._ended and not self._silent
