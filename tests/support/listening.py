"""A TCP server on this machine with a given behaviour."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Behave = Callable[[socket.socket, threading.Event], object]
"""Handles a connection; the event is set when the server ends."""


@contextlib.contextmanager
def listening(behave: Behave) -> Iterator[int]:
    """Run a server and yield its port.

    Args:
        behave: Handles each connection in its own thread.
    """
    ended = threading.Event()

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            behave(connection, ended)

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        ended.set()
