"""Collections while clients push and pull: nobody notices.

`make soak-images` runs 30 rounds; the tests run two.
"""

from __future__ import annotations

import os
import random
import threading
import time

import pytest
from image_client import ImageClient
from images_at_work import Images, client_of
from operator_at_work import Operator

from lab import LabServer
from lab.machine import say
from moorage.images.alive import Limits, find_alive

pytestmark = pytest.mark.ready("python3")

ROUNDS = int(os.environ.get("MOORAGE_SOAK_ROUNDS", "2"))
CLIENTS = 8
YOUNG, GRACE = 4.0, 3.0
REPOSITORIES = ("team/one", "other")


class Client(threading.Thread):
    """Pushes images of layers from a small pool, so that some were just collected, and pulls them.

    Attributes:
        failures: Errors, a line each.
        pushes: The number of pushes.
        slowest: Seconds that the slowest write took.
    """

    def __init__(self, number: int, client: ImageClient, pool: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.failures: list[str] = []
        self.pushes = 0
        self.latest: dict[tuple[str, str], dict[str, bytes]] = {}
        self._number = number
        self._client = client
        self._pool = pool
        self._random = random.Random(number)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._push_and_pull()
                self.pushes += 1
            except Exception as error:
                self.failures.append(f"{time.strftime('%X')} {error!r}")

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _push_and_pull(self) -> None:
        choose = self._random
        repository, source = choose.sample(REPOSITORIES, 2)
        tag = f"t{self._number}"
        layers = [choose.choice(self._pool), os.urandom(2000)]
        pushed = self._client.push(repository, tag, layers, source=source)
        if choose.randrange(4) == 0:
            child = self._client.push(repository, "", [*layers, os.urandom(100)])
            pushed = self._client.index(repository, tag, [pushed, child])
        content = self._client.pull(repository, tag)
        assert pushed["digest"] in content
        self.latest[repository, tag] = content
        # One that was pushed a while ago.
        repository, tag = choose.choice(list(self.latest))
        assert self._client.pull(repository, tag) == self.latest[repository, tag]


def test_nobody_notices_a_collection(operator: Operator, server: LabServer) -> None:
    answers = operator.answers([server])
    operator.install(answers)
    images = Images(operator, answers)
    pool = [os.urandom(30_000) for _ in range(10)]
    clients = [Client(number, client_of(operator, server), pool) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(2 * YOUNG)
    moved = held = 0
    for _ in range(ROUNDS):
        _, change = images.collect(young=YOUNG, grace=GRACE, looks=(1.0, 3.0))
        assert change.is_good, (change, images.log)
        moved += change.numbers.get("blobs", 0)
        held = max(held, change.numbers.get("held_ms", 0))
    for client in clients:
        client.stop()
    failures = [failure for client in clients for failure in client.failures]
    pushes = sum(client.pushes for client in clients)
    say(f"{pushes} pushes and pulls, {moved} blobs collected in {ROUNDS} rounds, held {held} ms")
    say("\n".join(images.log[-12:]))
    assert failures == []
    assert pushes > 20
    assert moved > 0
    assert held < 2000
    for client in clients:
        for (repository, tag), content in client.latest.items():
            assert client._client.pull(repository, tag) == content
    # Nothing dead is left when the clients are gone.
    time.sleep(YOUNG)
    _, change = images.collect(young=1.0, grace=0.0)
    assert change.is_good, (change, images.log)
    stored = images.read()
    alive = find_alive(stored.tree, stored.manifests, Limits(time.time(), 0.0, takes_untagged=True))
    assert not alive.dead_blobs(stored.tree)
