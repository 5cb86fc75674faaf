"""Several servers: all are staged before the first is switched, and a failure stops the rest."""

from __future__ import annotations

from moorage.deploy.conductor import Conductor
from moorage.deploy.events import OnEvent


class Rollout(Conductor):
    """Says go to staged servers in the order the answers want, and stops at the first failure."""

    def __init__(self, order: str, on_event: OnEvent) -> None:
        super().__init__(on_event)
        self.aborted: dict[str, str] = {}
        self._order = order

    def conduct(self) -> None:
        """Wait until every server has staged, then switch; blocks until all was said."""
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
            if ended.status != "done":
                self._abort_the_rest(f"not switched, because {run.server} failed")
                return

    def _abort_the_rest(self, why: str) -> None:
        for run in self.runs:
            if run.server not in self._ended:
                self.aborted[run.server] = why
                run.abort()
