"""``moorage users passwd``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.users.change import Wanted, change, change_options, how_to_change
from moorage.cli.users.new_password import password_choice, password_options
from moorage.cli.users.target import UsersAtWork, target_from, target_options

if TYPE_CHECKING:
    from moorage.desired.users import RegistryUser

_KINDS = {"bcrypt": "bcrypt", "sha512": "SHA-512"}


@click.command("passwd")
@target_options("NAME")
@password_options
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Give a user another password.

    The old one is refused from the next request on. On a terminal you are asked for the new one,
    and an empty one has Moorage make one; without a terminal one is made. In FILE the password
    becomes {generate: true}, which keeps what the servers have, unless FILE refers to it in the
    very way --password does.
    """
    from moorage.cli.passwords import PasswordSink
    from moorage.users import edits
    from moorage.users.passwords import hash_kind, hash_password, verify_password

    target = target_from(context, options, "NAME")
    how, choice = how_to_change(options), password_choice(options)
    [name] = target.words
    passwords = PasswordSink.choose(
        target.session, options["passwords_to"], options["show_passwords"]
    )

    def decide(work: UsersAtWork, users: tuple[RegistryUser, ...]) -> Wanted:
        current = edits.find(users, name).hash
        password = choice.get(work, name)
        scheme = work.read.scheme
        if hash_kind(current) == _KINDS[scheme] and verify_password(password.secret, current):
            return Wanted(users, lines=(f"{name} has this password already.",))
        return Wanted(
            edits.set_password(users, name, hash_password(password.secret, scheme)),
            generated={name: password.secret} if password.is_generated else {},
            reference=password.reference,
        )

    return change(target, how, decide, passwords)
