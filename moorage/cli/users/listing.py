"""``moorage users list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.users.target import UsersAtWork, open_users, target_from, target_options
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.deploy.last_seen import Seen

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
        seen, unseen = _last_seen(work) if last_seen else (None, [])
    code = read.unreached[0].exit_code if read.unreached else ExitCode.DONE
    if session.as_json:
        without = {"last_seen_without": unseen} if last_seen else {}
        session.emit({"exit_code": int(code), **users_as_json(read, read.users, seen), **without})
    else:
        for line in users_lines(read, read.users, seen):
            session.data(*line)
    return code


def _last_seen(work: UsersAtWork) -> tuple[dict[str, Seen], list[str]]:
    """Return when users were last here, and the servers whose logs could not be read."""
    from moorage.deploy.last_seen import merge_seen, read_seen

    found = work.engine.look(lambda: read_seen(work.engine.deployment))
    unseen = [server.host for server in work.answers.servers if server.host not in found]
    if unseen and not work.target.session.as_json:
        work.target.session.narrate(
            f"Last seen is without {', '.join(unseen)}: no logs could be read."
        )
    return merge_seen(found), unseen
