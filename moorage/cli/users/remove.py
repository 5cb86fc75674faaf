"""``moorage users remove``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.users.change import NewUsers, change, change_options, take_change_options
from moorage.cli.users.open_users import OpenUsers, deployment_arguments, parse_arguments

if TYPE_CHECKING:
    from moorage.desired.users import RegistryUser


@click.command("remove")
@deployment_arguments("NAME...")
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Remove users; several names are one change.

    Their logins stop working at once, and FILE no longer lists them. Their images are kept.
    """
    from moorage.users import edits

    arguments = parse_arguments(context, options, "NAME...")
    chosen = take_change_options(options)

    def edit(opened: OpenUsers, users: tuple[RegistryUser, ...]) -> NewUsers:
        return NewUsers(edits.remove(users, arguments.words))

    return change(arguments, chosen, edit)
