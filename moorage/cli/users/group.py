"""The group of commands ``moorage users``."""

from __future__ import annotations

import click

from moorage.cli.lazy_group import LazyCommand, LazyGroup
from moorage.cli.options import session_of
from moorage.cli.server_option import named_server_options, servers_named
from moorage.errors import ExitCode

_COMMANDS = {
    "list": LazyCommand("moorage.cli.users.listing", "Show the users, and each server's standing."),
    "add": LazyCommand("moorage.cli.users.add", "Add a user."),
    "passwd": LazyCommand("moorage.cli.users.passwd", "Give a user another password."),
    "access": LazyCommand("moorage.cli.users.access", "Say what a user may do, and where."),
    "disable": LazyCommand("moorage.cli.users.disable", "Keep users out for now."),
    "enable": LazyCommand("moorage.cli.users.enable", "Let disabled users in again."),
    "remove": LazyCommand("moorage.cli.users.remove", "Remove users."),
    "import": LazyCommand("moorage.cli.users.importing", "Adopt the users of an htpasswd file."),
    "export": LazyCommand("moorage.cli.users.exporting", "Write the users as an htpasswd file."),
    "screen": LazyCommand("moorage.cli.users.screen", "Open the users' screen.", hidden=True),
}

_EPILOG = """\b
Examples:
  moorage users moorage.yml                the users' screen
  moorage users --server root@203.0.113.10
  moorage users list moorage.yml
  moorage users add moorage.yml ana --access pull --repository 'team-a/*'
  moorage users passwd --server root@203.0.113.10 ana --generate
  moorage users import moorage.yml old.htpasswd --access push
"""


class _Users(LazyGroup):
    lazy = _COMMANDS
    file_command = "screen"


@click.group(
    cls=_Users,
    invoke_without_command=True,
    subcommand_metavar="[FILE | COMMAND ...]",
    epilog=_EPILOG,
)
@named_server_options
@click.pass_context
def command(context: click.Context, /, addresses: tuple[str, ...], key: str | None) -> int | None:
    """Manage who may log in to the registry, on all servers at once.

    On a terminal, FILE or --server USER@HOST without a command, or neither, opens the screen of
    users, which does all of this, too.

    The deployment is named by FILE, an answers file, or by its servers: --server USER@HOST for
    each. A server that is only recorded as one of them is connected to once you agree to it;
    without a terminal, the command stops and says which --server to add.

    A change is shown, confirmed, and made on all servers as one act: either all have it or none.
    Only nginx is reloaded; no request fails. After a change, FILE is updated.
    """
    from moorage.cli.terminal import has_terminal
    from moorage.cli.wizard import open_wizard

    name = context.invoked_subcommand
    if name is not None:
        if addresses or key is not None:
            raise click.UsageError(f"--server and --key stand behind {name}.", context)
        return None
    if not addresses:
        if key is not None:
            raise click.UsageError("--key goes with --server.", context)
        if not has_terminal():
            click.echo(context.get_help(), err=True)
            return ExitCode.USAGE
        return open_wizard(session_of(context), None, users=True)
    servers_named(context, addresses, key)
    return open_wizard(session_of(context), None, users=True, servers=(addresses, key or ""))
