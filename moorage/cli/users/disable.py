"""``moorage users disable``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.users.change import Wanted, change, change_options, how_to_change
from moorage.cli.users.target import UsersAtWork, target_from, target_options

if TYPE_CHECKING:
    from moorage.desired.users import RegistryUser


@click.command("disable")
@target_options("NAME...")
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Keep users out for now: one, or several as one change.

    They are refused from the next request on. Their passwords and access stay, and
    'moorage users enable' lets them in again.
    """
    from moorage.users import edits

    target = target_from(context, options, "NAME...")
    how = how_to_change(options)

    def decide(work: UsersAtWork, users: tuple[RegistryUser, ...]) -> Wanted:
        return Wanted(edits.set_disabled(users, target.words, True))

    return change(target, how, decide)
