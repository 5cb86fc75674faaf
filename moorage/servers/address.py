"""A server as people type it: ``USER@HOST:PORT``."""

from __future__ import annotations

import re

from moorage.answers.model import Server
from moorage.errors import MoorageError

_ADDRESS = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>\[[^]]+\]|[^:@]+)(?::(?P<port>\d+))?")


def server_from(address: str, key: str | None = None) -> Server:
    """Return the server somebody means.

    Args:
        address: ``HOST``, ``USER@HOST``, ``USER@HOST:PORT`` or an alias from ``~/.ssh/config``; an
            IPv6 address in brackets.
        key: The private key file to log in with, or None.

    Raises:
        MoorageError: It is none of these.
    """
    found = _ADDRESS.fullmatch(address.strip())
    try:
        if found is None:
            raise ValueError
        port = found["port"] and int(found["port"])
        return Server.model_validate({**found.groupdict(), "port": port, "key": key})
    except ValueError as error:
        said = f"{address!r} is no server. " if address.strip() else ""
        raise MoorageError(
            f"{said}Wanted: USER@HOST, USER@HOST:PORT, or an alias from "
            "~/.ssh/config; an IPv6 address in brackets.",
            code="no_server",
        ) from error
