"""What happens on servers, handed from the threads it is told in to the interface."""

from __future__ import annotations

import queue

from moorage.deploy.events import Event


class EventQueue:
    """Takes events in any thread; the interface fetches them in its own."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.put = self._events.put

    def take(self, most: int = 2000) -> list[Event]:
        """Return what happened since the last call, in order, ``most`` events at a time."""
        batch: list[Event] = []
        while len(batch) < most:
            try:
                batch.append(self._events.get_nowait())
            except queue.Empty:
                break
        return batch
