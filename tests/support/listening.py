"""TCP and HTTP servers on this machine with a given behaviour."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


@contextlib.contextmanager
def serving(host: str, handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run an HTTP server and yield its endpoint, such as http://10.77.0.1:40124.

    Args:
        host: The address it listens on.
        handler: Handles each request in a thread of its own.
    """
    server = ThreadingHTTPServer((host, 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
