"""``moorage users remove``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.users.change import Wanted, change, change_options, how_to_change
from moorage.cli.users.target import UsersAtWork, target_from, target_options

if TYPE_CHECKING:
    from moorage.desired.users import RegistryUser


@click.command("remove")
@target_options("NAME...")
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Remove users: one, or several as one change.

    They are refused from the next request on, and FILE lists them no more. What they pushed stays.
    """
    from moorage.users import edits

    target = target_from(context, options, "NAME...")
    how = how_to_change(options)

    def decide(work: UsersAtWork, users: tuple[RegistryUser, ...]) -> Wanted:
        return Wanted(edits.remove(users, target.words))

    return change(target, how, decide)
