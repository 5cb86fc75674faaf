"""``moorage users add``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.users.access_options import access_option, repositories_option
from moorage.cli.users.change import Wanted, change, change_options, how_to_change
from moorage.cli.users.new_password import password_choice, password_options
from moorage.cli.users.target import UsersAtWork, target_from, target_options

if TYPE_CHECKING:
    from moorage.desired.users import RegistryUser

_EXAMPLES = """\b
Examples:
  moorage users add moorage.yml ana --access pull --repository 'team-a/*'
  moorage users add moorage.yml bot --generate --yes --passwords-to bot.txt
  pass show registry/ci | moorage users add moorage.yml ci --password-stdin --yes
"""


@click.command("add", epilog=_EXAMPLES)
@target_options("NAME")
@access_option("push")
@repositories_option
@click.option("--disabled", is_flag=True, help="Keep them out until they are enabled.")
@password_options
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Add a user.

    On a terminal you are asked for a password, and an empty one has Moorage make one; without a
    terminal one is made. FILE then lists the user with {generate: true}, which keeps the password
    that the servers have.
    """
    from moorage.cli.passwords import PasswordSink
    from moorage.desired.users import RegistryUser
    from moorage.users import edits
    from moorage.users.passwords import hash_password

    target = target_from(context, options, "NAME")
    how, choice = how_to_change(options), password_choice(options)
    [name] = target.words
    passwords = PasswordSink.choose(
        target.session, options["passwords_to"], options["show_passwords"]
    )
    user = RegistryUser(
        name, "", options["access"], tuple(options["repositories"]), options["disabled"]
    )
    edits.check(user)

    def decide(work: UsersAtWork, users: tuple[RegistryUser, ...]) -> Wanted:
        edits.add(users, user)
        password = choice.get(work, name)
        hashed = hash_password(password.secret, work.read.scheme)
        return Wanted(
            edits.set_password(edits.add(users, user), name, hashed),
            listed_too=(name,),
            generated={name: password.secret} if password.is_generated else {},
            reference=password.reference,
        )

    return change(target, how, decide, passwords)
