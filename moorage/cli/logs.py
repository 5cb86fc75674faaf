"""``moorage logs``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.file_or_servers import file_or_servers_options, open_to_read
from moorage.cli.options import output_of, server_options

_LEVELS = ("routine", "info", "warning", "error")
_EXAMPLES = """\b
Examples:
  moorage logs moorage.yml
  moorage logs moorage.yml -f --level warning
  moorage logs moorage.yml --user ana --repository team/app --status 4xx
  moorage logs --server root@203.0.113.10 --lines 5000 --json
"""


def _check_statuses(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    if not values:
        return ()
    from moorage.deploy.logs.rows import parse_statuses
    from moorage.errors import MoorageError

    try:
        return parse_statuses(" ".join(values))
    except MoorageError as error:
        raise click.BadParameter(error.message, context, parameter) from error


@click.command("logs", epilog=_EXAMPLES)
@file_or_servers_options
@click.option("-f", "--follow", is_flag=True, help="Wait for new lines, until Ctrl-C.")
@click.option(
    "--lines",
    metavar="N",
    type=click.IntRange(1, 1_000_000),
    default=300,
    show_default=True,
    help="How many lines to read from the end of each log; the filters apply to these.",
)
@click.option(
    "--level",
    type=click.Choice(_LEVELS),
    default="routine",
    help="Only lines of this level or above: routine shows everything, info leaves out requests "
    "that worked, warning shows refused requests, error shows failures.",
)
@click.option("--user", metavar="NAME", default="", help="Only requests of this user.")
@click.option(
    "--repository",
    metavar="NAME",
    default="",
    help="Only requests to this repository, or to one below it.",
)
@click.option(
    "--status",
    "statuses",
    metavar="STATUS",
    multiple=True,
    callback=_check_statuses,
    help="Only requests with this status: 404, 4xx or 5xx; repeatable.",
)
@click.option("--no-checks", is_flag=True, help="Leave out Moorage's own checks.")
@server_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    follow: bool,
    lines: int,
    level: str,
    user: str,
    repository: str,
    statuses: tuple[str, ...],
    no_checks: bool,
    **options: Any,
) -> int:
    """Show the logs of all servers: the registry's journal, nginx's errors and each request.

    A request has its time, status, method, user, address and path. The last lines of all servers
    are sorted by time; with --follow, new lines come as they are written, and a connection that is
    lost is opened again: no line is lost or repeated. [check] marks Moorage's own checks. --json
    prints one object per line. Changes nothing.

    Exits with 4 if a server is unreachable; the logs of the others are shown.
    """
    from moorage.cli.logs_view import LogsView
    from moorage.deploy.logs.read import LogTail
    from moorage.deploy.logs.rows import Level, LogFilter
    from moorage.errors import ExitCode

    output = output_of(context)
    shown = LogFilter(Level[level.upper()], user, repository, statuses, not no_checks)
    with open_to_read(context, options) as runner:
        deployment = runner.deployment
        view = LogsView(output, shown, len(deployment.chosen_servers) > 1)
        tail = LogTail(
            deployment, runner.asker, view.add, view.fail, on_notice=view.note, on_end=view.end,
            follows=follow, lines=lines,
        )  # fmt: skip

        def stop() -> None:
            tail.stop()
            deployment.close()

        tail.start()
        try:
            code = runner.main_thread.wait_for(view.show, stop)
        finally:
            tail.stop()
        # Ctrl-C is how following ends: not worth a message.
        return ExitCode.INTERRUPTED if runner.main_thread.is_interrupted else code
