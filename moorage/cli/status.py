"""``moorage status``."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import LOCAL_FILE, limit_option, output_of, server_options
from moorage.cli.server_option import server_and_key_options

_EXAMPLES = """\b
Examples:
  moorage status moorage.yml
  moorage status --server root@203.0.113.10 --json
  moorage status moorage.yml --follow
"""


@click.command("status", epilog=_EXAMPLES)
@click.argument("file", metavar="[FILE]", required=False, type=LOCAL_FILE)
@server_and_key_options
@limit_option
@click.option("--follow", is_flag=True, help="If a run is in progress, show its log until it ends.")
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path | None,
    addresses: tuple[str, ...],
    key: str | None,
    limit: tuple[str, ...],
    follow: bool,
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Show what is deployed on each server, and its state.

    Shows whether the registry is running and on which slot, modified files, the certificate's
    expiry, free disk space, and the result of the last run; with FILE, also whether the answers
    differ from the deployment. With --server, lists other servers on record without connecting to
    them. Changes nothing.

    Exits with 0 if all servers are healthy, 1 if one is not, and 4 if one is unreachable.
    """
    from moorage.cli.answers_file import answers_of_file_or_servers
    from moorage.cli.runner import open_deployment
    from moorage.cli.status_view import status_as_json, status_lines
    from moorage.deploy.status import read_status

    output = output_of(context)
    answers = answers_of_file_or_servers(context, file, addresses, key)
    with open_deployment(
        output, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        # Reading the status does not need the registry's own secrets.
        runner.asker.asks_for_logins_only = True
        status = runner.query(
            lambda: read_status(runner.deployment, with_plan=file is not None, follow=follow)
        )
    if output.as_json:
        output.emit(status_as_json(status))
    else:
        for line in status_lines(status):
            output.data(*line)
    return status.exit_code
