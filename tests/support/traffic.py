"""Clients that push and pull all the time and record failures."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType

from moorage.deploy.verify.registry_client import Answer, RegistryClient
from moorage.errors import MoorageError

PAUSE = 0.2
"""Seconds between a client's pull and its next push.

Eight clients then send up to a hundred requests a second, and leave the machine to what is tested.
"""


def retry_once(ask: Callable[[], Answer]) -> Answer:
    """Retry a request whose connection was closed without a response.

    After a reload, old nginx workers close connections with requests they have not started to read,
    which clients must expect.
    """
    try:
        return ask()
    except MoorageError as error:
        if "RemoteDisconnected" not in error.message:
            raise
        return ask()


class Traffic:
    """Clients that run during the block, each in its own thread.

    Attributes:
        failures: Errors, a line each.
        count: The number of pushes, each followed by a pull.

    Args:
        clients: A registry client for each.
    """

    def __init__(self, clients: Sequence[RegistryClient]) -> None:
        self.failures: list[str] = []
        self._counts = [0] * len(clients)
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number, client), daemon=True)
            for number, client in enumerate(clients)
        ]

    @property
    def count(self) -> int:
        """The number of pushes, each followed by a pull."""
        return sum(self._counts)

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int, client: RegistryClient) -> None:
        while not self._ended.is_set():
            try:
                blob = os.urandom(50_000)
                digest = push_blob(client, f"load/worker{number}", blob)
                path = f"/v2/load/worker{number}/blobs/{digest}"
                pulled = retry_once(partial(client.request, "GET", path))
                assert pulled.status == 200, pulled
                assert pulled.body == blob
            except Exception as error:  # Any error is a failure.
                self.failures.append(repr(error))
            self._counts[number] += 1
            self._ended.wait(PAUSE)


def push_blob(client: RegistryClient, repository: str, blob: bytes) -> str:
    """Push a blob and return its digest."""
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    begun = retry_once(lambda: client.request("POST", f"/v2/{repository}/blobs/uploads/"))
    assert begun.status == 202, begun
    location = begun.header("Location") or ""
    done = retry_once(lambda: client.put_blob(location, blob, digest))
    assert done.status == 201, done
    return digest
