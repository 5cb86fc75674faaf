"""Requests per second to a registry, with 16 connections of curl's."""

from __future__ import annotations

from collections import Counter

from lab import LabServer

CONNECTIONS = 16
LOGIN = "/root/login"
"""A file with the login on the client: an argument list would show the password."""


def write_login(client: LabServer, user: str, password: str) -> None:
    """Write the login for :func:`requests_per_second` to a client."""
    client.write_file(LOGIN, f'user = "{user}:{password}"\n', mode=0o600)


def requests_per_second(
    client: LabServer, server: LabServer, domain: str, port: int, seconds: int
) -> float:
    """Return the requests to ``GET /v2/`` per second; all must get status 200."""
    # The fragment is not sent; it only makes curl repeat the request.
    url = f"https://{domain}:{port}/v2/#[1-10000000]"
    output = client.run(
        f"timeout -s KILL {seconds} stdbuf -oL curl -s -k --no-progress-meter --http1.1 "
        f"--config {LOGIN} --parallel --parallel-max {CONNECTIONS} "
        f"--resolve {domain}:{port}:{server.address} "
        f"-o /dev/null -w '%{{http_code}}\\n' '{url}'",
        check=False,
    ).stdout
    statuses = Counter(output.splitlines())
    if set(statuses) - {"200"}:
        raise SystemExit(f"port {port}: some responses were not 200: {dict(statuses)}")
    return statuses["200"] / seconds
