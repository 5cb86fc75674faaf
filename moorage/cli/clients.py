"""``moorage clients``: what to paste on clients."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import answers_argument, output_of, server_options
from moorage.deploy.clients import CLIENTS, client_setups
from moorage.errors import MoorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from moorage.cli.plan_view import Line
    from moorage.deploy.clients import Access, ClientSetup

_EXAMPLES = """\b
Examples:
  moorage clients moorage.yml
  moorage clients moorage.yml docker
  moorage clients moorage.yml podman --user ana
  moorage clients moorage.yml --json
"""


@click.command("clients", epilog=_EXAMPLES)
@answers_argument
@click.argument("client", metavar="[CLIENT]", type=click.Choice(tuple(CLIENTS)), required=False)
@click.option(
    "--user", metavar="NAME", help="Log in as this user. Default: the first who can push."
)
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path,
    client: str | None,
    user: str | None,
    accepted_host_keys: tuple[str, ...],
) -> None:
    """Print what to paste on a client of the registry.

    CLIENT is docker, podman, containerd, kubernetes, actions (GitHub Actions), or system (curl and
    other programs on Debian or Ubuntu); without it, the text for each of them is printed.

    The lines for a shell do everything a client needs: they install the private CA's certificate,
    add the registry to /etc/hosts while its name does not resolve, and log in. They contain no
    secret: the login asks for the password. Paste them into sh, bash or zsh on the client, as root
    or as a user with sudo; pasting them again changes nothing.

    Changes nothing. Connects to the servers only if the private CA is not on this machine.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.runner import open_deployment

    output = output_of(context)
    answers = open_answers(output, file)
    with open_deployment(output, answers, accepted_host_keys=accepted_host_keys) as runner:
        runner.asker.asks_for_logins_only = True
        access = runner.query(lambda: runner.operations.client_access(_checked(user)))
    chosen = [each for each in client_setups(access) if client in {None, each.client}]
    if not chosen:
        raise MoorageError(
            f"There is nothing to set up for {client}: its programs trust the registry's "
            "certificate already, or its CA is not limited to the registry's name.",
            code="nothing_to_set_up",
        )
    if output.as_json:
        output.emit(_as_json(access, chosen))
    elif client is None:
        for line in _lines(chosen, shlex.quote(str(file))):
            output.data(*line)
    else:
        for each in chosen:
            output.data(each.text)
            if each.note:
                output.message(each.note)


def _checked(user: str | None) -> str | None:
    from pydantic import TypeAdapter, ValidationError

    from moorage.answers.fields import UserName
    from moorage.cli.errors import WrongUsageError

    if user is None:
        return None
    try:
        return TypeAdapter(UserName).validate_python(user)
    except ValidationError as error:
        raise WrongUsageError(f"Invalid user name {user!r}.", code="user_name") from error


def _lines(setups: Sequence[ClientSetup], file: str) -> Iterator[Line]:
    for number, each in enumerate(setups):
        if number:
            yield ("",)
        yield ((each.title, "bold"), (f"  moorage clients {file} {each.client}", "dim"))
        if each.note:
            yield ((each.note, "dim"),)
        yield (each.text,)


def _as_json(access: Access, setups: Sequence[ClientSetup]) -> dict[str, object]:
    return {
        "registry": access.registry,
        "user": access.user,
        "ca": access.authority or None,
        "hosts": list(access.addresses),
        "clients": [
            {"client": each.client, "title": each.title, "text": each.text, "note": each.note}
            for each in setups
        ],
    }
