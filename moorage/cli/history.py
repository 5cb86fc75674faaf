"""``moorage history``."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import LOCAL_FILE, limit_option, output_of, server_options
from moorage.cli.server_option import server_and_key_options

_EXAMPLES = """\b
Examples:
  moorage history moorage.yml
  moorage history --server root@203.0.113.10 --json
"""


@click.command("history", epilog=_EXAMPLES)
@click.argument("file", metavar="[FILE]", required=False, type=LOCAL_FILE)
@server_and_key_options
@limit_option
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path | None,
    addresses: tuple[str, ...],
    key: str | None,
    limit: tuple[str, ...],
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Show the applies and other changes: when, by whom, what changed, and how it ended.

    Also those that failed, were cancelled, or were refused because another run was in progress.
    Each server keeps its last runs, and the last 20 changes for longer. Changes nothing.

    Exits with 4 if a server is unreachable, and 1 if its runs cannot be read; the others are shown.
    """
    from moorage.cli.answers_file import answers_of_file_or_servers
    from moorage.cli.history_view import history_as_json, history_lines
    from moorage.cli.runner import open_deployment
    from moorage.errors import ExitCode

    output = output_of(context)
    answers = answers_of_file_or_servers(context, file, addresses, key)
    with open_deployment(
        output, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        runner.asker.asks_for_logins_only = True
        history = runner.query(runner.operations.read_history)
    code = history.left_out[0].exit_code if history.left_out else ExitCode.DONE
    if output.as_json:
        output.emit({"exit_code": int(code), **history_as_json(history)})
    else:
        for line in history_lines(history):
            output.data(*line)
    return code
