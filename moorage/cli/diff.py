"""``moorage diff``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.file_or_servers import file_or_servers_options, open_to_read
from moorage.cli.options import output_of, server_options
from moorage.errors import ExitCode

_EXAMPLES = """\b
Examples:
  moorage diff moorage.yml
  moorage diff moorage.yml --from 3 --to 7 --json
"""


@click.command("diff", epilog=_EXAMPLES)
@file_or_servers_options
@click.option(
    "--from", "before", type=click.IntRange(0), metavar="REVISION", help="Compare this revision."
)
@click.option(
    "--to", "after", type=click.IntRange(0), metavar="REVISION", help="Compare with this revision."
)
@server_options
@click.pass_context
def command(
    context: click.Context,
    /,
    before: int | None,
    after: int | None,
    **options: Any,
) -> int:
    """Show what differs between two deployments: answers, files, the registry's version.

    By default between the current deployment and the one before it. Each server keeps the current
    one and the three before it; 'moorage history FILE' lists the revisions. Secrets are masked.
    Changes nothing; 'moorage plan FILE --diff' compares FILE with the servers.
    """
    from moorage.cli.diff_view import diff_as_json, diff_text

    output = output_of(context)
    with open_to_read(context, options) as runner:
        found = runner.query(lambda: runner.operations.compare_deployments(before, after))
    if output.as_json:
        output.emit({"exit_code": int(ExitCode.DONE), **diff_as_json(found)})
    else:
        for line in diff_text(found):
            output.data(*line)
    return ExitCode.DONE
