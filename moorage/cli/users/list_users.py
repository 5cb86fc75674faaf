"""``moorage users list``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.users.open_users import deployment_arguments, open_users, parse_arguments
from moorage.errors import ExitCode

_EXAMPLES = """\b
Examples:
  moorage users list moorage.yml
  moorage users list --server root@203.0.113.10 --json
"""


@click.command("list", epilog=_EXAMPLES)
@deployment_arguments()
@click.option(
    "--last-seen",
    is_flag=True,
    help="Also show each user's last login and push, without Moorage's own checks.",
)
@click.pass_context
def command(context: click.Context, /, *, last_seen: bool, **options: Any) -> int:
    """Show the users on the servers, and each server's status.

    A server is up to date, outdated (missed a change; the next one fixes it), modified (edited by
    hand) or unreachable. Changes nothing.

    Exits with 4 if a server is unreachable, after showing the others.
    """
    from moorage.cli.users.view import users_as_json, users_lines

    arguments = parse_arguments(context, options)
    output = arguments.output
    with open_users(arguments) as opened:
        read = opened.read
        seen = opened.runner.query(opened.runner.operations.read_last_seen) if last_seen else None
    if seen is not None and seen.left_out and not output.as_json:
        without = ", ".join(seen.left_out)
        output.message(f"Last seen does not include {without}: could not read the logs.")
    times = None if seen is None else seen.times
    code = read.unreached[0].exit_code if read.unreached else ExitCode.DONE
    if output.as_json:
        without_logs = {"last_seen_without": seen.left_out} if seen is not None else {}
        output.emit({"exit_code": int(code), **users_as_json(read, times), **without_logs})
    else:
        for line in users_lines(read, times):
            output.data(*line)
    return code
