"""``moorage status``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.file_or_servers import file_or_servers_options, open_to_read
from moorage.cli.options import output_of, server_options

_EXAMPLES = """\b
Examples:
  moorage status moorage.yml
  moorage status --server root@203.0.113.10 --json
  moorage status moorage.yml --follow
"""


@click.command("status", epilog=_EXAMPLES)
@file_or_servers_options
@click.option("--follow", is_flag=True, help="If a run is in progress, show its log until it ends.")
@server_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    follow: bool,
    **options: Any,
) -> int:
    """Show what is deployed on each server, and its state.

    Shows whether the registry is running and on which slot, modified files, the certificate's
    expiry, free disk space, and the result of the last run; with FILE, also whether the answers
    differ from the deployment. With --server, lists other servers on record without connecting to
    them. Changes nothing.

    Exits with 0 if all servers are healthy, 1 if one is not, and 4 if one is unreachable.
    """
    from moorage.cli.status_view import status_as_json, status_lines
    from moorage.deploy.status.status import read_status

    output = output_of(context)
    with open_to_read(context, options) as runner:
        status = runner.query(
            lambda: read_status(
                runner.deployment, with_plan=options["file"] is not None, follow=follow
            )
        )
    if output.as_json:
        output.emit(status_as_json(status))
    else:
        for line in status_lines(status):
            output.data(*line)
    return status.exit_code
