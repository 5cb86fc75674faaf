"""FILE, or ``--server`` in its place, for commands that only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.options import LOCAL_FILE, limit_option, output_of
from moorage.cli.server_option import parse_server_options, server_and_key_options

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.cli.runner import Runner

_Function = TypeVar("_Function", bound=Callable[..., Any])


def file_or_servers_options(function: _Function) -> _Function:
    """Add FILE, ``--server``, ``--key`` and ``--limit``; see :func:`open_to_read`."""
    file = click.argument("file", metavar="[FILE]", required=False, type=LOCAL_FILE)
    decorated: _Function = file(server_and_key_options(limit_option(function)))
    return decorated


@contextmanager
def open_to_read(context: click.Context, options: dict[str, Any]) -> Iterator[Runner]:
    """Open the deployment that a command names; leaving the context closes its connections.

    Args:
        context: The command's context.
        options: The options of :func:`file_or_servers_options`, and ``accepted_host_keys``.

    Raises:
        click.UsageError: FILE and ``--server`` are both given, or neither.
        WrongUsageError: A server of ``--limit`` is not in the answers.
    """
    from moorage.cli.runner import open_deployment

    answers = _answers(context, options)
    with open_deployment(
        output_of(context), answers, limit=options["limit"],
        accepted_host_keys=options["accepted_host_keys"],
    ) as runner:  # fmt: skip
        # Reading does not need the registry's own secrets.
        runner.asker.asks_for_logins_only = True
        yield runner


def _answers(context: click.Context, options: dict[str, Any]) -> Answers:
    """Return the answers of the file, or minimal ones for the servers."""
    from moorage.cli.answers_file import open_answers
    from moorage.deploy.status.discovery import answers_for

    file, addresses, key = options["file"], options["addresses"], options["key"]
    if (file is None) != bool(addresses):
        raise click.UsageError("Expected either FILE or --server USER@HOST[:PORT].", context)
    if file is not None:
        if key is not None:
            raise click.UsageError("--key needs --server; FILE has its own keys.", context)
        return open_answers(output_of(context), file)
    return answers_for(parse_server_options(context, addresses, key))
