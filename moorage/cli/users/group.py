"""The group of commands ``moorage users``."""

from __future__ import annotations

import click

from moorage.cli.lazy_group import LazyCommand, LazyGroup
from moorage.cli.options import output_of
from moorage.cli.server_option import parse_server_options, server_and_key_options
from moorage.errors import ExitCode

_COMMANDS = {
    "list": LazyCommand(
        "moorage.cli.users.list_users", "Show the users, and each server's status."
    ),
    "add": LazyCommand("moorage.cli.users.add", "Add a user."),
    "passwd": LazyCommand("moorage.cli.users.passwd", "Change a user's password."),
    "access": LazyCommand("moorage.cli.users.access", "Set a user's access and repositories."),
    "disable": LazyCommand("moorage.cli.users.disable", "Disable users."),
    "enable": LazyCommand("moorage.cli.users.enable", "Enable disabled users."),
    "remove": LazyCommand("moorage.cli.users.remove", "Remove users."),
    "import": LazyCommand("moorage.cli.users.import_users", "Import users from an htpasswd file."),
    "export": LazyCommand("moorage.cli.users.export_users", "Export users as an htpasswd file."),
    "screen": LazyCommand("moorage.cli.users.screen", "Open the Users screen.", hidden=True),
}

_EPILOG = """\b
Examples:
  moorage users moorage.yml                the Users screen
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
@server_and_key_options
@click.pass_context
def command(context: click.Context, /, addresses: tuple[str, ...], key: str | None) -> int | None:
    """Manage the registry's users on all servers at once.

    Without a command, opens the wizard's Users screen (needs a terminal).

    FILE, an answers file, selects the deployment, or --server USER@HOST for each of its servers.
    Moorage asks before it connects to other servers on record; without a terminal, it stops and
    prints the --server options to add.

    Shows each change and asks, then makes it on all servers or none. Only reloads nginx; no request
    fails. Then updates FILE.
    """
    from moorage.cli.terminal import has_terminal
    from moorage.cli.wizard import open_wizard

    name = context.invoked_subcommand
    if name is not None:
        if addresses or key is not None:
            raise click.UsageError(f"Put --server and --key after {name}.", context)
        return None
    if not addresses:
        if key is not None:
            raise click.UsageError("--key needs --server.", context)
        if not has_terminal():
            click.echo(context.get_help(), err=True)
            return ExitCode.USAGE
        return open_wizard(output_of(context), None, users=True)
    parse_server_options(context, addresses, key)
    return open_wizard(output_of(context), None, users=True, servers=(addresses, key or ""))
