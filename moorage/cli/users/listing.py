"""``moorage users list``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.users.target import open_users, target_from, target_options
from moorage.errors import ExitCode

_EXAMPLES = """\b
Examples:
  moorage users list moorage.yml
  moorage users list --server root@203.0.113.10 --json
"""


@click.command("list", epilog=_EXAMPLES)
@target_options()
@click.option(
    "--last-seen",
    is_flag=True,
    help="Also show when each user was let in and pushed last, as far back as nginx's logs on the "
    "servers go; reading them may take a while.",
)
@click.pass_context
def command(context: click.Context, /, *, last_seen: bool, **options: Any) -> int:
    """Show the users as the servers have them, and each server's status.

    A server is up to date, outdated (it missed a change; the next one fixes it), modified (its
    files were edited by hand) or unreachable. Changes nothing.

    Exits with 4 when a server cannot be reached, after showing the others.
    """
    from moorage.cli.users.view import users_as_json, users_lines

    target = target_from(context, options)
    session = target.session
    with open_users(target) as work:
        read = work.read
        seen = work.engine.look(work.engine.operations.read_last_seen) if last_seen else None
    if seen is not None and seen.left_out and not session.as_json:
        without = ", ".join(seen.left_out)
        session.narrate(f"Last seen is without {without}: no logs could be read.")
    times = None if seen is None else seen.times
    code = read.unreached[0].exit_code if read.unreached else ExitCode.DONE
    if session.as_json:
        without_logs = {"last_seen_without": seen.left_out} if seen is not None else {}
        session.emit({"exit_code": int(code), **users_as_json(read, times), **without_logs})
    else:
        for line in users_lines(read, times):
            session.data(*line)
    return code
