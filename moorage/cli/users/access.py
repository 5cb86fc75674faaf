"""``moorage users access``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from moorage.cli.users.access_options import access_option, repositories_option
from moorage.cli.users.change import NewUsers, change, change_options, take_change_options
from moorage.cli.users.open_users import OpenUsers, deployment_arguments, parse_arguments

if TYPE_CHECKING:
    from moorage.desired.users import Access, RegistryUser

_EXAMPLES = """\b
Examples:
  moorage users access moorage.yml ana push --repository 'team-a/*' --repository tools/lint
  moorage users access moorage.yml ci pull --all-repositories
"""


@click.command("access", epilog=_EXAMPLES)
@deployment_arguments("NAME", "push|pull")
@access_option(None, "The same as the last argument.")
@repositories_option
@click.option("--all-repositories", is_flag=True, help="Allow all repositories.")
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Set a user's access and repositories.

    push allows push, pull and delete; pull allows pull only. Without --repository and
    --all-repositories, the repositories do not change.
    """
    from moorage.desired.users import RegistryUser
    from moorage.users import edits

    named: str | None = options["access"]
    expected = ("NAME",) if named else ("NAME", "push|pull")
    arguments = parse_arguments(context, options, *expected)
    chosen = take_change_options(options)
    name, word = (*arguments.words, named) if named else arguments.words
    if word not in {"push", "pull"}:
        raise click.UsageError(f"Invalid access {word!r}: use push or pull.", context)
    access = cast("Access", word)
    repositories: tuple[str, ...] = tuple(options["repositories"])
    everywhere: bool = options["all_repositories"]
    if repositories and everywhere:
        raise click.UsageError("Use either --repository or --all-repositories.", context)
    edits.check(RegistryUser(name, "", access, repositories))

    def edit(opened: OpenUsers, users: tuple[RegistryUser, ...]) -> NewUsers:
        current = edits.find(users, name).repositories
        allowed = repositories if repositories or everywhere else current
        return NewUsers(edits.set_access(users, name, access, allowed))

    return change(arguments, chosen, edit)
