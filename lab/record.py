"""The record of a server, which other processes read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from lab.process import ProcessIdentity


@dataclass(frozen=True)
class Proxy:
    """A delaying proxy in front of one port of a server."""

    pid: int
    started: int
    port: int
    """The port on 127.0.0.1."""
    server_port: int
    delay: float
    """Milliseconds added per round trip."""


@dataclass(frozen=True)
class ServerRecord:
    """The content of a server's server.json."""

    name: str
    hostname: str
    address: str
    suite: str
    variant: str
    layers: tuple[str, ...]
    owner: tuple[int, int] | None
    """Process ID and start time; None for a server that stays until it is removed."""
    proxies: tuple[Proxy, ...] = field(default=())

    @classmethod
    def load(cls, path: Path) -> ServerRecord | None:
        """Read a record; return None if it is missing or unreadable.

        Args:
            path: The server's server.json.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            data["layers"] = tuple(data["layers"])
            data["owner"] = tuple(data["owner"]) if data["owner"] else None
            data["proxies"] = tuple(Proxy(**proxy) for proxy in data["proxies"])
            return cls(**data)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def is_abandoned(self) -> bool:
        """Return whether the process that booted this server has ended."""
        return self.owner is not None and not ProcessIdentity(*self.owner).is_alive()
