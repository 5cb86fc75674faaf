"""Open the transport to a server in the answers."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.answers.model import Server
from moorage.servers.local import LocalTransport
from moorage.servers.ssh import transport as ssh
from moorage.servers.ssh.config import SshConfig
from moorage.servers.ssh.transport import SshTransport
from moorage.servers.transport import Asker, Resolve, Transport


def open_transport(
    server: Server, asker: Asker, resolve: Resolve, *, config: SshConfig | None = None
) -> Transport:
    """Return the transport to a server. It connects on first use.

    Args:
        server: The server as in the answers.
        asker: Asks the operator about host keys and secrets.
        resolve: Resolves the answers' secret references.
        config: The ssh configuration; None reads the operator's.
    """
    if server.connection == "local":
        return LocalTransport(server, asker, resolve)
    return SshTransport(server, asker, resolve, config=config)


def load(servers: Iterable[Server]) -> None:
    """Import what connecting to servers needs, before other threads start to import modules.

    Threads take turns while they import, and nothing takes as long as a server's reply: connect
    first, and import the rest while waiting.

    Args:
        servers: The servers as in the answers.
    """
    if any(server.connection != "local" for server in servers):
        ssh.load()
