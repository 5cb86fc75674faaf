"""The cost of slow pulls for a server: disk, memory, and the speed of concurrent pulls.

Run as root: python -m bench.slow_pulls [PULLS] [SECONDS]. It boots its own lab server, pushes a
layer of 1 GB to its registry, and pulls it PULLS times at 100 kB/s each.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.unchanged import Bench
from lab import Lab, LabServer
from moorage.answers.secrets import Secret
from moorage.deploy.verify.registry_client import RegistryClient

DOMAIN = "registry.bench.test"
USER, PASSWORD = "ci", "a password for benchmarks"
REPOSITORY = "bench/slow"
RATE = 100_000
"""Bytes per second of a slow pull."""
_CHUNK = 1 << 20


class SlowPulls:
    """Clients that pull one blob slowly during the block, in one thread.

    Attributes:
        received: Bytes of the blob that each client has received.
        statuses: The HTTP status of each client's response; 0 before the response.
        digests: The SHA-256 of the completely pulled blobs.
        failures: Errors, a line each.
        rate: Bytes per second of each client; can be changed while they run.

    Args:
        client: The registry's client.
        path: The blob's path.
        count: The number of clients.
        rate: Bytes per second of each client.
    """

    def __init__(self, client: RegistryClient, path: str, count: int, rate: float) -> None:
        self.received = [0] * count
        self.statuses = [0] * count
        self.digests: list[str] = []
        self.failures: list[str] = []
        self._client = client
        self._path = path
        self._tls = _trusting(client)
        self.rate = rate
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> SlowPulls:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        # Already closed if all pulls have finished.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()

    def _work(self) -> None:
        tasks = [self._loop.create_task(self._pull(each)) for each in range(len(self.received))]
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(asyncio.gather(*tasks))
        self._loop.close()

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _pull(self, number: int) -> None:
        # Read 16 KiB at a time, so that the rest stays on the server.
        reader, writer = await asyncio.open_connection(
            self._client.address,
            self._client.port,
            ssl=self._tls,
            server_hostname=self._client.domain,
            limit=1 << 14,
        )
        try:
            writer.write(_request(self._client, self._path))
            head = await reader.readuntil(b"\r\n\r\n")
            self.statuses[number] = int(head.split(b" ", 2)[1])
            began, digest = time.monotonic(), hashlib.sha256()
            while data := await reader.read(1 << 14):
                digest.update(data)
                self.received[number] += len(data)
                ahead = self.received[number] / self.rate - (time.monotonic() - began)
                await asyncio.sleep(max(ahead, 0))
            self.digests.append(digest.hexdigest())
        except (OSError, EOFError) as error:
            self.failures.append(repr(error))
        finally:
            writer.transport.abort()


def _trusting(client: RegistryClient) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if client.ca_certificate is not None:
        context.load_verify_locations(cadata=client.ca_certificate.decode())
    return context


def _request(client: RegistryClient, path: str) -> bytes:
    assert client.password is not None
    login = base64.b64encode(f"{client.user}:{client.password.reveal()}".encode()).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {client.domain}\r\nAuthorization: Basic {login}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


def push_blob(client: RegistryClient, size: int) -> str:
    """Push a blob of a given size and return its path."""
    chunk = os.urandom(_CHUNK)
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for start in range(0, size, _CHUNK):
            piece = chunk[: size - start]
            digest.update(piece)
            yield piece

    begun = client.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
    sent = client.request(
        "PATCH",
        begun.header("Location") or "",
        body=chunks(),
        headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"},
    )
    name = f"sha256:{digest.hexdigest()}"
    done = client.put_blob(sent.header("Location") or "", b"", name)
    assert done.status == 201, done
    return f"/v2/{REPOSITORY}/blobs/{name}"


@dataclass(frozen=True)
class Cost:
    """Bytes of memory and disk in use on a server."""

    registry: int
    nginx: int
    spooled: int

    @classmethod
    def of(cls, server: LabServer) -> Cost:
        """Measure a server."""
        return cls(
            resident(server, "docker-registry"),
            resident(server, "nginx"),
            spooled(server),
        )


def spooled(server: LabServer) -> int:
    """Return the size of nginx's temporary files in bytes.

    nginx unlinks them when it opens them.
    """
    listed = server.run(
        "for worker in $(pidof nginx); do "
        "find /proc/$worker/fd -lname '/var/lib/nginx/*' -exec stat -L -c %b {} +; done"
    )
    return sum(int(blocks) * 512 for blocks in listed.stdout.split())


def resident(server: LabServer, program: str) -> int:
    """Return the resident memory of a program's processes on a server in bytes."""
    lines = server.run("grep -s VmRSS /proc/[0-9]*/status; grep -s . /proc/[0-9]*/comm").stdout
    names: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for line in lines.splitlines():
        path, _, value = line.partition(":")
        process = path.split("/")[2]
        if path.endswith("comm"):
            names[process] = value
        else:
            sizes[process] = int(value.split()[1]) * 1024
    return sum(sizes.get(process, 0) for process, name in names.items() if name == program)


def fast_pulls(
    client: RegistryClient, authority: Path, path: str, seconds: float
) -> tuple[float, float]:
    """Pull a blob repeatedly, in another process than the slow pulls.

    Returns:
        The median of MB/s, and the longest pull in seconds.
    """
    assert client.password is not None
    command = ["curl", "-s", "-f", "-o", "/dev/null", "--cacert", str(authority), "--config", "-",
               "--resolve", f"{client.domain}:{client.port}:{client.address}",
               "-w", "%{size_download} %{time_total}",
               f"https://{client.domain}:{client.port}{path}"]  # fmt: skip
    login = f'user = "{client.user}:{client.password.reveal()}"\n'
    rates: list[float] = []
    longest = 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end or not rates:
        size, took = subprocess.run(
            command, input=login, capture_output=True, check=True, text=True
        ).stdout.split()
        rates.append(int(size) / float(took) / 1e6)
        longest = max(longest, float(took))
    return statistics.median(rates), longest


def main() -> None:
    """Measure before, during and after the slow pulls, and print a table."""
    count, seconds = (int(word) for word in (*sys.argv[1:], *("100", "20")[len(sys.argv) - 1 :]))
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        server = lab.boot("bench")
        bench = Bench(server, Path(folder), PASSWORD)
        bench.moorage((server.address, 22), "--no-verify")
        authority = next(Path(folder).glob("state/ca/*/ca.pem"))
        client = RegistryClient(
            server.address, 443, DOMAIN, True, authority.read_bytes(), USER, Secret(PASSWORD)
        )
        large, small = push_blob(client, 1024**3), push_blob(client, 20 * 1024**2)
        print(f"{f'{count} slow pulls of 1 GB':<22}{'registry':>11}{'nginx':>9}{'spooled':>10}"
              f"{'concurrent pulls':>26}")  # fmt: skip
        print_row("before", Cost.of(server), *fast_pulls(client, authority, small, 5))
        with SlowPulls(client, large, count, RATE) as slow:
            time.sleep(min(5, seconds))
            rate, longest = fast_pulls(client, authority, small, max(seconds - 5, 1))
            print_row("during", Cost.of(server), rate, longest)
        time.sleep(5)
        print_row("after", Cost.of(server), *fast_pulls(client, authority, small, 5))
        got = sum(slow.received) / 1e6
        print(f"{got:.0f} MB were pulled slowly; {len(slow.failures)} pulls failed")


def print_row(moment: str, cost: Cost, rate: float, longest: float) -> None:
    """Print a row of the table."""
    print(
        f"{moment:<22}{cost.registry / 1e6:>8.0f} MB{cost.nginx / 1e6:>6.0f} MB"
        f"{cost.spooled / 1e6:>7.0f} MB{rate:>10.0f} MB/s, longest {longest:>4.2f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
