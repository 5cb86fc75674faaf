"""``moorage users add``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.users.access_options import access_option, repositories_option
from moorage.cli.users.change import NewUsers, change, change_options, take_change_options
from moorage.cli.users.new_password import password_choice, password_options
from moorage.cli.users.open_users import OpenUsers, deployment_arguments, parse_arguments

if TYPE_CHECKING:
    from moorage.desired.users import RegistryUser

_EXAMPLES = """\b
Examples:
  moorage users add moorage.yml ana --access pull --repository 'team-a/*'
  moorage users add moorage.yml bot --generate --yes --passwords-to bot.txt
  pass show registry/ci | moorage users add moorage.yml ci --password-stdin --yes
"""


@click.command("add", epilog=_EXAMPLES)
@deployment_arguments("NAME")
@access_option("push")
@repositories_option
@click.option("--disabled", is_flag=True, help="Add the user as disabled.")
@password_options
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Add a user.

    Prompts for a password on a terminal; leave it empty to generate one. Without a terminal, one is
    generated. FILE then lists the user with {generate: true}, which keeps the password on the
    servers.
    """
    from moorage.cli.passwords import PasswordOutput
    from moorage.desired.users import RegistryUser
    from moorage.users import edits
    from moorage.users.passwords import hash_password

    arguments = parse_arguments(context, options, "NAME")
    chosen, choice = take_change_options(options), password_choice(options)
    [name] = arguments.words
    passwords = PasswordOutput.choose(
        arguments.output, options["passwords_to"], options["show_passwords"]
    )
    user = RegistryUser(
        name, "", options["access"], tuple(options["repositories"]), options["disabled"]
    )
    edits.check(user)

    def edit(opened: OpenUsers, users: tuple[RegistryUser, ...]) -> NewUsers:
        edits.add(users, user)
        password = choice.get(opened, name)
        hashed = hash_password(password.secret, opened.read.scheme)
        return NewUsers(
            edits.set_password(edits.add(users, user), name, hashed),
            add_to_file=(name,),
            generated={name: password.secret} if password.is_generated else {},
            reference=password.reference,
        )

    return change(arguments, chosen, edit, passwords)
