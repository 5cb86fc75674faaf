"""Clients that push and pull all the time, and count what failed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType

from moorage.deploy.registry_client import Answer, RegistryClient
from moorage.errors import MoorageError


def asked_again(ask: Callable[[], Answer]) -> Answer:
    """Ask once more when the connection was closed before anything was answered.

    A worker of nginx that ends closes connections whose request it has not begun to read; clients
    have to expect that of every reload.
    """
    try:
        return ask()
    except MoorageError as error:
        if "RemoteDisconnected" not in error.message:
            raise
        return ask()


class Traffic:
    """Clients at work while the block lasts, each in a thread of its own.

    Attributes:
        failures: What went wrong, a line each.
        count: How many pushes with a pull each there were.

    Args:
        clients: What each of them talks to.
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
        """How many pushes with a pull each there were."""
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
                pulled = asked_again(partial(client.request, "GET", path))
                assert pulled.status == 200, pulled
                assert pulled.body == blob
            except Exception as error:  # whatever it is, it is a failure to report
                self.failures.append(repr(error))
            self._counts[number] += 1


def push_blob(client: RegistryClient, repository: str, blob: bytes) -> str:
    """Push a blob and return its digest."""
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    begun = asked_again(lambda: client.request("POST", f"/v2/{repository}/blobs/uploads/"))
    assert begun.status == 202, begun
    location = begun.header("Location") or ""
    done = asked_again(lambda: client.put_blob(location, blob, digest))
    assert done.status == 201, done
    return digest
