"""``moorage activity``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.file_or_servers import file_or_servers_options, open_to_read
from moorage.cli.options import output_of, server_options

_EXAMPLES = """\b
Examples:
  moorage activity moorage.yml
  moorage activity moorage.yml --user ana --events 100
  moorage activity --server root@203.0.113.10 --json
"""


@click.command("activity", epilog=_EXAMPLES)
@file_or_servers_options
@click.option(
    "--events", metavar="N", type=click.IntRange(0), default=20, show_default=True,
    help="How many pushes, pulls and deletions to show.",
)  # fmt: skip
@click.option(
    "--hours", metavar="N", type=click.IntRange(0), default=24, show_default=True,
    help="How many hours of requests to show.",
)  # fmt: skip
@click.option("--user", metavar="NAME", default="", help="Only pushes and pulls by this user.")
@click.option(
    "--repository", metavar="NAME", default="", help="Only pushes and pulls of this repository."
)
@server_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    events: int,
    hours: int,
    user: str,
    repository: str,
    **options: Any,
) -> int:
    """Show the last pushes and pulls with their users, requests per hour, and failed requests.

    Each server keeps an index of them, for longer than nginx's logs are kept. Moorage's own checks
    are left out, and refused requests only count as failed. The servers' state does not change.

    Exits with 4 if a server is unreachable, and 1 if its log cannot be read; the others are shown.
    """
    from moorage.cli.activity_view import activity_as_json, activity_lines
    from moorage.errors import ExitCode

    output = output_of(context)
    with open_to_read(context, options) as runner:
        activity = runner.query(runner.operations.read_activity)
    shown = [
        event
        for event in activity.events
        if user in {"", event.user} and repository in {"", event.repository}
    ][:events]
    code = activity.left_out[0].exit_code if activity.left_out else ExitCode.DONE
    if output.as_json:
        output.emit({"exit_code": int(code), **activity_as_json(activity, shown, hours)})
    else:
        for line in activity_lines(activity, shown, hours):
            output.data(*line)
    return code
