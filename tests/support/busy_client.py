"""Clients that push and pull images all the time, as collections run."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Sequence

from image_client import ImageClient

REPOSITORIES = ("team/one", "other")


class BusyClient(threading.Thread):
    """Pushes images of layers from a small pool, so that some were just collected, and pulls them.

    Attributes:
        failures: Errors, a line each.
        pushes: The number of pushes.
        latest: The content of the images it pushed, by repository and tag.
        images: Send its requests, to a server each.

    Args:
        number: Its number, which its tags have.
        clients: Send its requests, to a server each.
        pool: The layers.
        pause: Seconds between a pull and the next push.
    """

    def __init__(
        self,
        number: int,
        clients: Sequence[ImageClient],
        pool: Sequence[bytes],
        pause: float = 0.0,
    ) -> None:
        super().__init__(daemon=True)
        self.failures: list[str] = []
        self.pushes = 0
        self.latest: dict[tuple[str, str], dict[str, bytes]] = {}
        self._number = number
        self.images = clients
        self._pool = pool
        self._pause = pause
        self._random = random.Random(number)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._push_and_pull()
                self.pushes += 1
            except Exception as error:
                self.failures.append(f"{time.strftime('%X')} {error!r}")
            self._ended.wait(self._pause)

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _push_and_pull(self) -> None:
        choose = self._random
        to, at = choose.choice(self.images), choose.choice(self.images)
        repository, source = choose.sample(REPOSITORIES, 2)
        tag = f"t{self._number}"
        layers = [choose.choice(self._pool), os.urandom(2000)]
        pushed = to.push(repository, tag, layers, source=source)
        if choose.randrange(4) == 0:
            child = to.push(repository, "", [*layers, os.urandom(100)])
            pushed = to.index(repository, tag, [pushed, child])
        content = at.pull(repository, tag)
        assert pushed["digest"] in content
        self.latest[repository, tag] = content
        # One that was pushed a while ago.
        repository, tag = choose.choice(list(self.latest))
        assert at.pull(repository, tag) == self.latest[repository, tag]
