"""Parse server addresses: ``USER@HOST:PORT``."""

from __future__ import annotations

import re

from moorage.answers.fields import check_local_path
from moorage.answers.model import Server
from moorage.errors import MoorageError

_ADDRESS = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>\[[^]]+\]|[^:@]+)(?::(?P<port>\d+))?")


def parse_server(address: str, key: str | None = None) -> Server:
    """Parse a server's address.

    Args:
        address: ``HOST``, ``USER@HOST``, ``USER@HOST:PORT`` or an alias from ``~/.ssh/config``; an
            IPv6 address in brackets.
        key: The private key file to log in with, or None.

    Raises:
        LocalFileError: The key's path is invalid.
        MoorageError: The address is invalid.
    """
    key = key and check_local_path(key, "key")
    found = _ADDRESS.fullmatch(address.strip())
    try:
        if found is None:
            raise ValueError
        port = found["port"] and int(found["port"])
        return Server.model_validate({**found.groupdict(), "port": port, "key": key})
    except ValueError as error:
        invalid = f"Invalid address {address!r}. " if address.strip() else ""
        raise MoorageError(
            f"{invalid}Use USER@HOST, USER@HOST:PORT, or an alias from ~/.ssh/config; put an IPv6 "
            "address in brackets.",
            code="no_server",
        ) from error
