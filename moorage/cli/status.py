"""``moorage status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import limit_option, server_options, session_of
from moorage.cli.server_option import named_server_options, servers_named

if TYPE_CHECKING:
    from moorage.answers.model import Answers

_EXAMPLES = """\b
Examples:
  moorage status moorage.yml
  moorage status --server root@203.0.113.10 --json
  moorage status moorage.yml --follow
"""


@click.command("status", epilog=_EXAMPLES)
@click.argument(
    "file", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path)
)
@named_server_options
@limit_option
@click.option("--follow", is_flag=True, help="If a run is going on, show its log until it ends.")
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
    """Show what is deployed on each server, and how it is.

    Says whether the registry runs and on which slot, which files somebody changed, how long the
    certificate lasts, how much disk is free, and how the last run ended. With FILE also whether the
    answers differ from what is deployed. With --server, other servers that the deployment is
    recorded to have are listed and not connected to. Changes nothing.

    Exits with 0 when all servers are healthy, 1 when something is wrong, and 4 when a server cannot
    be reached.
    """
    from moorage.cli.deployment import open_engine
    from moorage.cli.status_view import status_as_json, status_lines
    from moorage.deploy.status import read_status

    session = session_of(context)
    answers = _answers(context, file, addresses, key)
    with open_engine(
        session, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as engine:
        # The registry's own secrets are not needed to see whether it runs.
        engine.asker.asks_for_logins_only = True
        status = engine.look(
            lambda: read_status(engine.deployment, with_plan=file is not None, follow=follow)
        )
    if session.as_json:
        session.emit(status_as_json(status))
    else:
        for line in status_lines(status):
            session.data(*line)
    return status.exit_code


def _answers(
    context: click.Context, file: Path | None, addresses: tuple[str, ...], key: str | None
) -> Answers:
    from moorage.cli.answers_file import open_answers
    from moorage.deploy.discovery import answers_for

    if (file is None) != bool(addresses):
        raise click.UsageError("Wanted: either FILE or --server USER@HOST[:PORT].", context)
    if file is not None:
        if key is not None:
            raise click.UsageError("--key goes with --server; FILE names the keys itself.", context)
        return open_answers(session_of(context), file)
    return answers_for(servers_named(context, addresses, key))
