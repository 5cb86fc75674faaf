"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from moorage.cli.output import Output, WebOptions

LOCAL_PATH = click.Path(readable=False)
"""The type of a file's path as text. Click checks nothing; :mod:`moorage.local_file` does."""
LOCAL_FILE = click.Path(readable=False, path_type=Path)
"""The same as ``Path``."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _set_json(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        output_of(context).as_json = True


def _set_no_color(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        output_of(context).no_color = True


def output_of(context: click.Context) -> Output:
    """Return the output of this invocation."""
    output = context.ensure_object(Output)
    assert isinstance(output, Output)
    return output


def _set_web(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if not value:
        return
    output = output_of(context)
    options = output.web or WebOptions()
    if parameter.name == "web_no_token":
        options = replace(options, with_token=False)
    elif parameter.name == "web_listen":
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise click.BadParameter("expected HOST:PORT", context, parameter)
        options = replace(options, host=host.strip("[]"), port=int(port))
    output.web = options


def web_options(function: _Function) -> _Function:
    """Add the options for serving the wizard to a browser."""
    for option in (
        click.option("--web-no-token", is_flag=True, expose_value=False, callback=_set_web,
                     help="With --web: admit every client that can reach the port."),
        click.option("--web-listen", metavar="HOST:PORT", expose_value=False, callback=_set_web,
                     help="With --web: listen here instead of on a free port of 127.0.0.1."),
        click.option("--web", is_flag=True, expose_value=False, callback=_set_web,
                     help="Serve the wizard to a browser; prints a URL that works once."),
    ):  # fmt: skip
        function = option(function)
    return function


json_option = click.option(
    "--json",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_json,
    help="Print JSON on stdout, including errors.",
)

no_color_option = click.option(
    "--no-color",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_no_color,
    help="Disable colours, like NO_COLOR=1 in the environment.",
)

answers_argument = click.argument("file", metavar="FILE", type=LOCAL_FILE)

limit_option = click.option(
    "--limit",
    metavar="HOST",
    multiple=True,
    help="Only work on this server, as named in the answers; repeatable.",
)


def _check_host_keys(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if value != "new" and not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", value):
            raise click.BadParameter(
                f"Invalid fingerprint {value!r}. Expected SHA256:... (see 'ssh-keygen -l -f "
                '/etc/ssh/ssh_host_ed25519_key.pub\' on the server) or "new".',
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
    help="Trust and remember a server that is not in known_hosts if its key has this "
    "fingerprint; repeatable. new trusts every unknown key. A changed key is always rejected.",
)


def common_options(function: _Function) -> _Function:
    """Add the options of every command."""
    decorated: _Function = no_color_option(json_option(function))
    return decorated


def server_options(function: _Function) -> _Function:
    """Add the options of every command that connects to servers."""
    decorated: _Function = accept_host_key_option(common_options(function))
    return decorated


def passwords_options(function: _Function) -> _Function:
    """Add ``passwords_to`` and ``show_passwords``, the destinations of generated passwords."""
    to_file = click.option(
        "--passwords-to",
        metavar="FILE",
        type=LOCAL_FILE,
        help="Write generated passwords to this new file, one USER:PASSWORD per line.",
    )
    shown = click.option(
        "--show-passwords",
        is_flag=True,
        help="Print generated passwords on stdout, even if it is not a terminal.",
    )
    decorated: _Function = to_file(shown(function))
    return decorated
