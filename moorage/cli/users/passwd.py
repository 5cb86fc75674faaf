"""``moorage users passwd``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.users.change import NewUsers, change, change_options, take_change_options
from moorage.cli.users.new_password import password_choice, password_options
from moorage.cli.users.open_users import OpenUsers, deployment_arguments, parse_arguments

if TYPE_CHECKING:
    from moorage.desired.users import RegistryUser

_KINDS = {"bcrypt": "bcrypt", "sha512": "SHA-512"}


@click.command("passwd")
@deployment_arguments("NAME")
@password_options
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Change a user's password.

    The old password stops working at once. Prompts for the new one on a terminal; leave it empty to
    generate one. Without a terminal, one is generated. In FILE the password becomes
    {generate: true}, which keeps the password on the servers, unless FILE has the same reference as
    --password.
    """
    from moorage.cli.passwords import PasswordOutput
    from moorage.users import edits
    from moorage.users.passwords import hash_kind, hash_password, verify_password

    arguments = parse_arguments(context, options, "NAME")
    chosen, choice = take_change_options(options), password_choice(options)
    [name] = arguments.words
    passwords = PasswordOutput.choose(
        arguments.output, options["passwords_to"], options["show_passwords"]
    )

    def edit(opened: OpenUsers, users: tuple[RegistryUser, ...]) -> NewUsers:
        current = edits.find(users, name).hash
        password = choice.get(opened, name)
        scheme = opened.read.scheme
        if hash_kind(current) == _KINDS[scheme] and verify_password(password.secret, current):
            return NewUsers(users, lines=(f"{name} already has this password.",))
        return NewUsers(
            edits.set_password(users, name, hash_password(password.secret, scheme)),
            generated={name: password.secret} if password.is_generated else {},
            reference=password.reference,
        )

    return change(arguments, chosen, edit, passwords)
