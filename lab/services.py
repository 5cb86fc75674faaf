"""Services on this machine that stand in for a cloud provider's."""

from __future__ import annotations

import importlib.util
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.error import URLError

from lab.errors import LabError
from lab.lab import Lab
from lab.process import ProcessIdentity
from lab.state import write_json

START_TIMEOUT = 30.0
"""Seconds a service has to start."""


@dataclass(frozen=True)
class ObjectStore:
    """A running S3 server with one bucket."""

    lab: Lab
    endpoint: str
    """Such as http://10.77.0.1:40123; reachable from the servers and this machine."""
    bucket: str
    region: str = "us-east-1"
    access_key: str = field(default_factory=lambda: secrets.token_hex(10))
    """Its own, so that a leak found by one test was not made by another."""
    secret_key: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def create_bucket(self, name: str) -> None:
        """Create another bucket.

        Args:
            name: The bucket's name.

        Raises:
            LabError: The server refused.
        """
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except URLError as error:
            raise LabError(f"the S3 server did not create bucket {name}: {error}") from error

    def stop(self) -> None:
        """Stop the server; its contents are lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            (self.lab.folder.services / f"{self.process.pid}.json").unlink(missing_ok=True)


def start_object_store(
    lab: Lab, bucket: str = "registry", *, host: str | None = None
) -> ObjectStore:
    """Start moto's S3 server on this machine's address on the bridge.

    Args:
        lab: The lab whose servers use it.
        bucket: A bucket to create.
        host: Its address: `lab.gateway6` for IPv6-only servers; `lab.gateway` when None.

    Returns:
        The running server.

    Raises:
        LabError: moto is not installed or does not start.
    """
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise LabError("the S3 server needs moto: pip install 'moto[server]'")
    host = host or lab.gateway
    port = free_port(host)
    endpoint = f"http://{in_brackets(host)}:{port}"
    lab.folder.services.mkdir(parents=True, exist_ok=True)
    with (lab.folder.services / "s3.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    note_service(lab, process, endpoint)
    store = ObjectStore(lab, endpoint, bucket, process=process)
    try:
        wait_for_port(process, host, port, "moto's server did not start; see services/s3.log")
        store.create_bucket(bucket)
    except BaseException:
        store.stop()
        raise
    return store


def note_service(lab: Lab, process: subprocess.Popen[bytes], endpoint: str) -> None:
    """Record a service that belongs to this process, so that it is killed once this one is gone.

    Args:
        lab: The lab it serves.
        process: The service's process.
        endpoint: Its address, for information.
    """
    identity = ProcessIdentity.of(process.pid)
    own = ProcessIdentity.own()
    if identity is not None:
        lab.folder.services.mkdir(parents=True, exist_ok=True)
        write_json(
            lab.folder.services / f"{process.pid}.json",
            {
                "process": [identity.pid, identity.started],
                "owner": [own.pid, own.started],
                "endpoint": endpoint,
            },
        )


def in_brackets(host: str) -> str:
    """Return an address as it is written in URLs.

    Args:
        host: An IP address of either family.
    """
    return f"[{host}]" if ":" in host else host


def free_port(host: str) -> int:
    """Return a free TCP port.

    Args:
        host: The address to listen on.
    """
    return free_ports(host, 1)[0]


def free_ports(host: str, count: int) -> list[int]:
    """Return several different free TCP ports.

    Args:
        host: The address to listen on.
        count: The number of ports.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as open_listeners:
        listeners = [
            open_listeners.enter_context(socket.create_server((host, 0), family=family))
            for _ in range(count)
        ]
        return [listener.getsockname()[1] for listener in listeners]


def wait_for_port(process: subprocess.Popen[bytes], host: str, port: int, message: str) -> None:
    """Wait until a service accepts connections.

    Args:
        process: The service.
        host: The address it listens at.
        port: The port.
        message: The error message if it does not.

    Raises:
        LabError: The service ended or took too long.
    """
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection((host, port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise LabError(message)
