"""Get a new password: prompt for it, read it, or generate it."""

from __future__ import annotations

import getpass
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.errors import WrongUsageError, before_any_change
from moorage.cli.options import passwords_options

if TYPE_CHECKING:
    from moorage.answers.secrets import PasswordReference, Secret, SecretReference
    from moorage.cli.users.open_users import OpenUsers
    from moorage.users.strength import Strength

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TRIES = 3
_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True)
class NewPassword:
    """A new password.

    Attributes:
        is_generated: Whether Moorage generated it and has to show it.
        reference: Its reference, if it has one.
    """

    secret: Secret
    is_generated: bool = False
    reference: PasswordReference | None = None


@dataclass(frozen=True)
class PasswordChoice:
    """The options for a new password.

    Attributes:
        allows_weak: Whether a weak password is accepted.
    """

    generate: bool
    from_stdin: bool
    allows_weak: bool
    reference: SecretReference | None

    def get(self, opened: OpenUsers, name: str) -> NewPassword:
        """Return the password; prompts on a terminal unless an option provides it.

        Args:
            opened: The open deployment.
            name: The user.

        Raises:
            WrongUsageError: The password is invalid or weak.
            SecretUnavailable: The reference cannot be resolved.
        """
        from moorage.answers.resolve import Resolver

        output = opened.arguments.output
        if self.reference is not None:
            resolver = Resolver(opened.runner.asker.secret, output.message)
            secret = resolver.resolve(self.reference, "--password")
            return NewPassword(self._checked(opened, name, secret), reference=self.reference)
        if self.from_stdin:
            return NewPassword(self._checked(opened, name, _from_stdin()))
        typed = None
        if not self.generate and output.is_interactive:
            with before_any_change():
                typed = self._prompt(opened, name)
        return NewPassword(typed) if typed else _generated()

    def _checked(self, opened: OpenUsers, name: str, secret: Secret) -> Secret:
        from moorage.users.passwords import password_problem

        fault = password_problem(secret)
        if fault:
            raise WrongUsageError(f"Invalid password for {name}: {fault}.", code="password")
        strength = _strength(opened, name, secret)
        if strength.is_weak and not self.allows_weak:
            raise WrongUsageError(
                f"The password of {name} is {strength}",
                advice="Use --generate for a strong one, or --weak-password to allow it.",
                code="weak_password",
            )
        if strength.is_weak:
            opened.arguments.output.message(f"The password of {name} is {strength}")
        opened.runner.deployment.redactor.add(secret)
        return secret

    def _prompt(self, opened: OpenUsers, name: str) -> Secret | None:
        """Prompt for a password twice; return None to generate one."""
        from moorage.answers.secrets import Secret
        from moorage.users.passwords import password_problem

        output = opened.arguments.output
        for _ in range(_TRIES):
            typed = getpass.getpass(
                f"Password for {name} (empty: generate one): ", stream=sys.stderr
            )
            secret = Secret(typed)
            if not typed:
                return None
            fault = password_problem(secret)
            if fault:
                output.message(f"Invalid password: {fault}.")
                continue
            strength = _strength(opened, name, secret)
            output.message(f"Strength: {strength}")
            if strength.is_weak and not self.allows_weak:
                output.message(
                    "Enter a stronger one, or nothing to generate it. (--weak-password allows any.)"
                )
                continue
            if getpass.getpass("Repeat the password: ", stream=sys.stderr) == typed:
                opened.runner.deployment.redactor.add(secret)
                return secret
            output.message("The passwords do not match.")
        raise WrongUsageError(
            f"No valid password for {name} was entered.",
            advice="Use --generate to generate one.",
        )


def password_options(function: _Function) -> _Function:
    """Add the options for a new password; :func:`password_choice` reads them."""
    decorators = (
        click.option("--generate", is_flag=True, help="Generate a password and show it once."),
        click.option(
            "--password-stdin",
            is_flag=True,
            help="Read the password from the first line of standard input.",
        ),
        click.option(
            "--password",
            "reference",
            metavar="REFERENCE",
            help="Read the password from env:NAME, file:PATH, command:PROGRAM ARGUMENT..., "
            "or keyring:NAME. Not the password itself.",
        ),
        click.option(
            "--weak-password",
            is_flag=True,
            help="Allow a password that is easy to guess.",
        ),
        passwords_options,
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def password_choice(options: dict[str, Any]) -> PasswordChoice:
    """Remove the options of :func:`password_options` from a command's options and return them.

    Raises:
        WrongUsageError: More than one is given, or the reference is invalid.
    """
    generate, from_stdin = options.pop("generate"), options.pop("password_stdin")
    allows_weak, text = options.pop("weak_password"), options.pop("reference")
    if generate + from_stdin + (text is not None) > 1:
        raise WrongUsageError(
            "Use only one of --generate, --password-stdin and --password.",
        )
    reference = None if text is None else _reference(text)
    return PasswordChoice(generate, from_stdin, allows_weak, reference)


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
    # The text may be the password itself: do not print it.
    raise WrongUsageError(
        "--password takes env:NAME, file:PATH, command:PROGRAM ARGUMENT... or keyring:NAME: a "
        "password on the command line is visible in the process list.",
        advice="If that was a password, change it.",
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


def _strength(opened: OpenUsers, name: str, secret: Secret) -> Strength:
    from moorage.users.strength import estimate

    return estimate(secret.reveal(), [name, opened.answers.registry.domain])
