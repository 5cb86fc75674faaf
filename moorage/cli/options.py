"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from moorage.cli.session import Session, WebPlace

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _set_json(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        session_of(context).as_json = True


def _set_no_color(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        session_of(context).no_color = True


def session_of(context: click.Context) -> Session:
    """Return the session of this call."""
    session = context.ensure_object(Session)
    assert isinstance(session, Session)
    return session


def _set_web(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if not value:
        return
    session = session_of(context)
    place = session.web or WebPlace()
    if parameter.name == "web_no_token":
        place = replace(place, with_token=False)
    elif parameter.name == "web_listen":
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise click.BadParameter("wanted: HOST:PORT", context, parameter)
        place = replace(place, host=host.strip("[]"), port=int(port))
    session.web = place


def web_options(function: _Function) -> _Function:
    """Add the options that serve the wizard to a browser."""
    for option in (
        click.option("--web-no-token", is_flag=True, expose_value=False, callback=_set_web,
                     help="With --web: let everybody in who reaches the port."),
        click.option("--web-listen", metavar="HOST:PORT", expose_value=False, callback=_set_web,
                     help="With --web: where to listen, instead of a free port of 127.0.0.1."),
        click.option("--web", is_flag=True, expose_value=False, callback=_set_web,
                     help="Serve the wizard to a browser; prints an address that works once."),
    ):  # fmt: skip
        function = option(function)
    return function


json_option = click.option(
    "--json",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_json,
    help="Print JSON on stdout, errors included.",
)

no_color_option = click.option(
    "--no-color",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_no_color,
    help="Print without colours; NO_COLOR=1 in the environment does the same.",
)

answers_argument = click.argument(
    "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path)
)

limit_option = click.option(
    "--limit",
    metavar="HOST",
    multiple=True,
    help="Work on this server only, named as in the answers; can be given several times.",
)


def _check_host_keys(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if value != "new" and not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", value):
            raise click.BadParameter(
                f"{value!r} is no fingerprint. Wanted: SHA256: and 43 characters as "
                "'ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub' on the server prints it, "
                "or the word new.",
                context,
                parameter,
            )
    return values


accept_host_key_option = click.option(
    "--accept-host-key",
    "accepted_host_keys",
    metavar="SHA256:...|new",
    multiple=True,
    callback=_check_host_keys,
    help="Trust a server that is not in known_hosts if its key has this fingerprint, and remember "
    "it; can be given several times. new trusts every unknown key. A changed key is always "
    "refused.",
)


def common_options(function: _Function) -> _Function:
    """Add what every command takes."""
    decorated: _Function = no_color_option(json_option(function))
    return decorated


def server_options(function: _Function) -> _Function:
    """Add what every command that connects to servers takes."""
    decorated: _Function = accept_host_key_option(common_options(function))
    return decorated


def passwords_options(function: _Function) -> _Function:
    """Add where passwords that are made go: ``passwords_to`` and ``show_passwords``."""
    to_file = click.option(
        "--passwords-to",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write passwords that are made to this new file, a line USER:PASSWORD each.",
    )
    shown = click.option(
        "--show-passwords",
        is_flag=True,
        help="Print passwords that are made on stdout, even when that is no terminal.",
    )
    decorated: _Function = to_file(shown(function))
    return decorated
