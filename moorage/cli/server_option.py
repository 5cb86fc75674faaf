"""Servers that are named on the command line, in place of an answers file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from moorage.answers.model import Server

_Function = TypeVar("_Function", bound=Callable[..., Any])

_server_option = click.option(
    "--server",
    "addresses",
    metavar="USER@HOST[:PORT]",
    multiple=True,
    help="Work without an answers file: what is deployed is read from this server. Can be given "
    "several times.",
)
_key_option = click.option(
    "--key",
    metavar="PATH",
    type=click.Path(dir_okay=False),
    help="The private key file to log in with, for --server.",
)


def named_server_options(function: _Function) -> _Function:
    """Add --server and --key; they become ``addresses`` and ``key``."""
    decorated: _Function = _server_option(_key_option(function))
    return decorated


def server_named(context: click.Context, address: str, key: str | None) -> Server:
    """Return the server that ``--server`` names.

    Args:
        context: The command's, for errors.
        address: USER@HOST, USER@HOST:PORT or an alias from ~/.ssh/config.
        key: What ``--key`` said.

    Raises:
        click.UsageError: It names none.
    """
    from moorage.errors import MoorageError
    from moorage.servers.address import parse_server

    try:
        return parse_server(address, key)
    except MoorageError as error:
        raise click.UsageError(error.message, context) from error


def servers_named(
    context: click.Context, addresses: tuple[str, ...], key: str | None
) -> tuple[Server, ...]:
    """Return the servers that several ``--server`` name; see :func:`server_named`."""
    servers = tuple(server_named(context, address, key) for address in addresses)
    hosts = [server.host for server in servers]
    if twice := next((host for host in hosts if hosts.count(host) > 1), None):
        raise click.UsageError(f"--server names {twice} more than once.", context)
    return servers
