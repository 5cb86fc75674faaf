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
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Show the users as the servers have them, and each server's standing.

    A server is in step, behind (it missed a change, and the next one repairs it), different
    (somebody edited its users) or unreachable. Changes nothing.

    Exits with 4 when a server cannot be reached, after showing the others.
    """
    from moorage.cli.users.view import users_as_json, users_lines

    target = target_from(context, options)
    session = target.session
    with open_users(target) as work:
        read = work.read
    code = read.unreached[0].exit_code if read.unreached else ExitCode.DONE
    if session.as_json:
        session.emit({"exit_code": int(code), **users_as_json(read, read.users)})
    else:
        for line in users_lines(read, read.users):
            session.data(*line)
    return code
