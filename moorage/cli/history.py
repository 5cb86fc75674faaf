"""``moorage history``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.file_or_servers import file_or_servers_options, open_to_read
from moorage.cli.options import output_of, server_options

_EXAMPLES = """\b
Examples:
  moorage history moorage.yml
  moorage history --server root@203.0.113.10 --json
"""


@click.command("history", epilog=_EXAMPLES)
@file_or_servers_options
@server_options
@click.pass_context
def command(
    context: click.Context,
    /,
    **options: Any,
) -> int:
    """Show the applies and other changes: when, by whom, what changed, and how it ended.

    Also those that failed, were cancelled, or were refused because another run was in progress.
    Each server keeps its last runs, and the last 20 changes for longer. Changes nothing.

    Exits with 4 if a server is unreachable, and 1 if its runs cannot be read; the others are shown.
    """
    from moorage.cli.history_view import history_as_json, history_lines
    from moorage.errors import ExitCode

    output = output_of(context)
    with open_to_read(context, options) as runner:
        history = runner.query(runner.operations.read_history)
    code = history.left_out[0].exit_code if history.left_out else ExitCode.DONE
    if output.as_json:
        output.emit({"exit_code": int(code), **history_as_json(history)})
    else:
        for line in history_lines(history):
            output.data(*line)
    return code
