"""Where a new password comes from: a prompt, standard input, a reference, or Moorage makes it."""

from __future__ import annotations

import getpass
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.errors import WrongUsageError
from moorage.cli.options import passwords_options

if TYPE_CHECKING:
    from moorage.answers.secrets import PasswordReference, Secret, SecretReference
    from moorage.cli.users.target import UsersAtWork
    from moorage.users.strength import Strength

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TRIES = 3
_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True)
class NewPassword:
    """A new password.

    Attributes:
        is_generated: Whether Moorage made it, so that it has to be shown.
        reference: Where it was found, if through a reference.
    """

    secret: Secret
    is_generated: bool = False
    reference: PasswordReference | None = None


@dataclass(frozen=True)
class PasswordChoice:
    """What the options say about a new password.

    Attributes:
        takes_weak: Whether it may be easy to guess.
    """

    generate: bool
    from_stdin: bool
    takes_weak: bool
    reference: SecretReference | None

    def get(self, work: UsersAtWork, name: str) -> NewPassword:
        """Return the password; asks when the options leave it open and somebody is there.

        Args:
            work: The open deployment.
            name: Whose it is.

        Raises:
            WrongUsageError: It cannot be used.
            SecretUnavailable: The reference leads nowhere.
        """
        from moorage.answers.resolve import Resolver

        session = work.target.session
        if self.reference is not None:
            resolver = Resolver(work.engine.asker.secret, session.narrate)
            secret = resolver.resolve(self.reference, "--password")
            return NewPassword(self._checked(work, name, secret), reference=self.reference)
        if self.from_stdin:
            return NewPassword(self._checked(work, name, _from_stdin()))
        typed = None
        if not self.generate and session.is_interactive:
            typed = self._asked(work, name)
        return NewPassword(typed) if typed else _generated()

    def _checked(self, work: UsersAtWork, name: str, secret: Secret) -> Secret:
        from moorage.users.passwords import password_problem

        fault = password_problem(secret)
        if fault:
            raise WrongUsageError(
                f"The password of {name} cannot be used: {fault}.", code="password"
            )
        strength = _strength(work, name, secret)
        if strength.is_weak and not self.takes_weak:
            raise WrongUsageError(
                f"The password of {name} is {strength}",
                advice="Have one made with --generate, or add --weak-password to use it anyway.",
                code="weak_password",
            )
        if strength.is_weak:
            work.target.session.narrate(f"The password of {name} is {strength}")
        work.engine.deployment.redactor.add(secret)
        return secret

    def _asked(self, work: UsersAtWork, name: str) -> Secret | None:
        """Ask for a password twice; None when Moorage is to make one."""
        from moorage.answers.secrets import Secret
        from moorage.users.passwords import password_problem

        session = work.target.session
        for _ in range(_TRIES):
            typed = getpass.getpass(f"Password of {name} (empty: make one): ", stream=sys.stderr)
            secret = Secret(typed)
            if not typed:
                return None
            fault = password_problem(secret)
            if fault:
                session.narrate(f"That cannot be used: {fault}.")
                continue
            strength = _strength(work, name, secret)
            session.narrate(f"Strength: {strength}")
            if strength.is_weak and not self.takes_weak:
                session.narrate(
                    "Another one is wanted; empty has one made. (--weak-password takes any.)"
                )
                continue
            if getpass.getpass("The same again: ", stream=sys.stderr) == typed:
                work.engine.deployment.redactor.add(secret)
                return secret
            session.narrate("The two differ.")
        raise WrongUsageError(
            f"No password of {name} was typed that could be used.",
            advice="'--generate' has one made.",
        )


def password_options(function: _Function) -> _Function:
    """Add where a new password comes from; :func:`password_choice` takes them out again."""
    decorators = (
        click.option("--generate", is_flag=True, help="Have a password made, and show it once."),
        click.option(
            "--password-stdin",
            is_flag=True,
            help="Read the password from the first line of standard input.",
        ),
        click.option(
            "--password",
            "reference",
            metavar="REFERENCE",
            help="Where the password is found: env:NAME, file:PATH, command:PROGRAM ARGUMENT..., "
            "or keyring:NAME. Never the password itself.",
        ),
        click.option(
            "--weak-password",
            is_flag=True,
            help="Take a password although it is easy to guess.",
        ),
        passwords_options,
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def password_choice(options: dict[str, Any]) -> PasswordChoice:
    """Take the options of :func:`password_options` out of a command's options.

    Raises:
        WrongUsageError: More than one of them was given, or a reference is none.
    """
    generate, from_stdin = options.pop("generate"), options.pop("password_stdin")
    takes_weak, text = options.pop("weak_password"), options.pop("reference")
    if generate + from_stdin + (text is not None) > 1:
        raise WrongUsageError(
            "--generate, --password-stdin and --password exclude each other.",
        )
    reference = None if text is None else _reference(text)
    return PasswordChoice(generate, from_stdin, takes_weak, reference)


def _reference(text: str) -> SecretReference:
    from moorage.answers.secrets import FromCommand, FromEnvironment, FromFile, FromKeyring

    kind, _, value = text.partition(":")
    try:
        match kind:
            case "env":
                return FromEnvironment(value)
            case "file":
                return FromFile(value)
            case "command":
                return FromCommand(tuple(shlex.split(value)))
            case "keyring":
                return FromKeyring(value)
    except ValueError as error:
        raise WrongUsageError(f"--password {kind}: {error}.") from None
    # The text may be the password itself, so it is not repeated.
    raise WrongUsageError(
        "--password takes env:NAME, file:PATH, command:PROGRAM ARGUMENT... or keyring:NAME. A "
        "password itself would be seen by whoever lists this machine's processes.",
        advice="If that was one, use another one from now on.",
        code="password_in_arguments",
    )


def _generated() -> NewPassword:
    from moorage.users.passwords import generate_password

    return NewPassword(generate_password(), is_generated=True)


def _from_stdin() -> Secret:
    from moorage.answers.secrets import Secret

    line = sys.stdin.buffer.readline(_LONGEST_LINE).rstrip(b"\r\n")
    try:
        return Secret(line.decode())
    except UnicodeDecodeError:
        raise WrongUsageError("The password on standard input is not UTF-8.") from None


def _strength(work: UsersAtWork, name: str, secret: Secret) -> Strength:
    from moorage.users.strength import estimate

    return estimate(secret.reveal(), [name, work.answers.registry.domain])
