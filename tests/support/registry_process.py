"""A registry as a process on this machine, on a socket in a folder of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

PING = b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"
CATALOG = b"GET /v2/_catalog HTTP/1.0\r\nHost: x\r\n\r\n"


@contextmanager
def registry_process(
    program: Path, config: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a registry; its output is in the file ``log`` in the folder.

    Args:
        program: The registry.
        config: Its configuration, which has to listen on the socket ``socket`` in the folder.
        folder: A folder for its files.
        environment: Its environment.
    """
    folder.mkdir(exist_ok=True)
    (folder / "config.yml").write_text(config)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "serve", str(folder / "config.yml")],
            env={"OTEL_TRACES_EXPORTER": "none", **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answers_to(process: subprocess.Popen[bytes], path: Path, request: bytes) -> bool:
    """Send a request to a registry.

    Args:
        process: The registry, as :func:`registry_process` starts it.
        path: The socket it has to listen on, beside its log.
        request: The request.

    Returns:
        Whether it answers: not if it ends before, or listens elsewhere.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.settimeout(60)
            connection.connect(str(path))
            connection.sendall(request)
            if connection.recv(1):
                return True
        if b"listening on" in path.with_name("log").read_bytes() and not path.exists():
            return False
        time.sleep(0.005)
    return False
