"""Start delaying proxies."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError
from lab.process import ProcessIdentity
from lab.record import Proxy

_started: list[subprocess.Popen[bytes]] = []
"""Proxies of this process; kept so that Python does not warn about them."""


def start_delaying_proxy(address: str, port: int, delay: float) -> Proxy:
    """Start a delaying proxy on a free port of 127.0.0.1; it runs until it is killed.

    Args:
        address: The server's address.
        port: The server's port.
        delay: Milliseconds to add per round trip.

    Raises:
        LabError: It ended immediately.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy_port: int = listener.getsockname()[1]
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", str(Path(__file__).with_name("delaying_proxy.py"))),
                *(str(listener.fileno()), address, str(port), str(delay)),
            ],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    identity = ProcessIdentity.of(process.pid)
    if identity is None:
        raise LabError("the delaying proxy did not start")
    _started.append(process)
    return Proxy(identity.pid, identity.started, proxy_port, port, delay)
