"""``moorage users access``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from moorage.cli.users.access_options import repositories_option
from moorage.cli.users.change import Wanted, change, change_options, how_to_change
from moorage.cli.users.target import UsersAtWork, target_from, target_options

if TYPE_CHECKING:
    from moorage.desired.users import Access, RegistryUser

_EXAMPLES = """\b
Examples:
  moorage users access moorage.yml ana push --repository 'team-a/*' --repository tools/lint
  moorage users access moorage.yml ci pull --all-repositories
"""


@click.command("access", epilog=_EXAMPLES)
@target_options("NAME", "push|pull")
@repositories_option
@click.option("--all-repositories", is_flag=True, help="They may use all repositories.")
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Say what a user may do, and where.

    push may push, pull and delete; pull may only pull. Without --repository and
    --all-repositories, the repositories stay as they are.
    """
    from moorage.desired.users import RegistryUser
    from moorage.users import edits

    target = target_from(context, options, "NAME", "push|pull")
    how = how_to_change(options)
    name, word = target.words
    if word not in {"push", "pull"}:
        raise click.UsageError(f"{word!r} is no access. Wanted: push or pull.", context)
    access = cast("Access", word)
    given: tuple[str, ...] = tuple(options["repositories"])
    everywhere: bool = options["all_repositories"]
    if given and everywhere:
        raise click.UsageError("--repository and --all-repositories exclude each other.", context)
    edits.check(RegistryUser(name, "", access, given))

    def decide(work: UsersAtWork, users: tuple[RegistryUser, ...]) -> Wanted:
        rules = given if given or everywhere else edits.find(users, name).repositories
        return Wanted(edits.set_access(users, name, access, rules))

    return change(target, how, decide)
