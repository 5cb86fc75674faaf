"""Read one file on the servers, as root."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.deploy.deployment import Deployment
from moorage.errors import MoorageError, ServersFailed
from moorage.servers.probe import probe
from moorage.servers.transport import Transport


def read_file(deployment: Deployment, path: str, servers: Sequence[str]) -> dict[str, bytes]:
    """Return a file's content from each server that has it, by label.

    Args:
        deployment: The deployment.
        path: The file on the servers.
        servers: The servers to read it on, by label.

    Raises:
        ServersFailed: Some of them cannot be reached or read.
    """

    def read(transport: Transport) -> bytes | None:
        if transport.server not in servers:
            return None
        files = probe(transport, (path,), cancel=deployment.cancel).files
        return files[path].content if path in files else None

    found = deployment.on_each(read)
    failed = [each for each in found.values() if isinstance(each, MoorageError)]
    if failed:
        raise ServersFailed(failed)
    return {server: each for server, each in found.items() if isinstance(each, bytes)}
