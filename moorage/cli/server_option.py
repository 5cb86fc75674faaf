"""The options ``--server`` and ``--key``, in place of an answers file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.options import LOCAL_PATH

if TYPE_CHECKING:
    from moorage.answers.model import Server

_Function = TypeVar("_Function", bound=Callable[..., Any])

_server_option = click.option(
    "--server",
    "addresses",
    metavar="USER@HOST[:PORT]",
    multiple=True,
    help="Work without an answers file: read the deployment from this server. Repeatable.",
)
_key_option = click.option(
    "--key",
    metavar="PATH",
    type=LOCAL_PATH,
    help="The private key file for --server.",
)


def server_and_key_options(function: _Function) -> _Function:
    """Add --server and --key as ``addresses`` and ``key``."""
    decorated: _Function = _server_option(_key_option(function))
    return decorated


def parse_server_option(context: click.Context, address: str, key: str | None) -> Server:
    """Parse the value of ``--server``.

    Args:
        context: The command's context, for errors.
        address: USER@HOST, USER@HOST:PORT or an alias from ~/.ssh/config.
        key: The value of ``--key``.

    Raises:
        LocalFileError: The key cannot be read.
        click.UsageError: The address is invalid.
    """
    from moorage.errors import MoorageError
    from moorage.local_file import LocalFileError, check_file
    from moorage.servers.address import parse_server

    if key is not None:
        check_file(key, "key")
    try:
        return parse_server(address, key)
    except LocalFileError:
        raise
    except MoorageError as error:
        raise click.UsageError(error.message, context) from error


def parse_server_options(
    context: click.Context, addresses: tuple[str, ...], key: str | None
) -> tuple[Server, ...]:
    """Parse several values of ``--server``; see :func:`parse_server_option`."""
    servers = tuple(parse_server_option(context, address, key) for address in addresses)
    hosts = [server.host for server in servers]
    if duplicate := next((host for host in hosts if hosts.count(host) > 1), None):
        raise click.UsageError(f"Duplicate --server {duplicate}.", context)
    return servers
