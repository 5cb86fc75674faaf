"""Passes events on the servers from the engine's threads to the interface."""

from __future__ import annotations

import queue

from moorage.deploy.events import Event


class EventQueue:
    """A queue that any thread can put events in; the interface takes them out."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.put = self._events.put

    def take(self, most: int = 2000) -> list[Event]:
        """Return the events since the last call, in order, at most ``most`` of them."""
        batch: list[Event] = []
        while len(batch) < most:
            try:
                batch.append(self._events.get_nowait())
            except queue.Empty:
                break
        return batch
