"""The group of commands ``moorage users``."""

from __future__ import annotations

import click

from moorage.cli.lazy import LazyCommand, LazyGroup

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
}

_EPILOG = """\b
Examples:
  moorage users list moorage.yml
  moorage users add moorage.yml ana --access pull --repository 'team-a/*'
  moorage users passwd --server root@203.0.113.10 ana --generate
  moorage users import moorage.yml old.htpasswd --access push
"""


class _Users(LazyGroup):
    lazy = _COMMANDS


@click.group(cls=_Users, epilog=_EPILOG)
def command() -> None:
    """Manage who may log in to the registry, on all servers at once.

    The deployment is named by FILE, an answers file, or by --server USER@HOST alone: what is
    deployed, and on which servers, is read from that server.

    A change is shown, confirmed, and made on all servers as one act: either all have it or none.
    Only nginx is reloaded; no request fails. After a change, FILE is brought in line.
    """
