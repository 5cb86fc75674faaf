"""The options that say where a user may do something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])

repositories_option = click.option(
    "--repository",
    "repositories",
    metavar="REPOSITORY",
    multiple=True,
    help="A repository they may use: team-a/app, or 'team-a/*' for all below; can be given several "
    "times. Without it, all of them.",
)


def access_option(default: str | None, more: str = "") -> Callable[[_Function], _Function]:
    """Return the option ``--access``.

    Args:
        default: What is meant without it, or None.
        more: Another sentence of help.
    """
    return click.option(
        "--access",
        type=click.Choice(["push", "pull"]),
        default=default,
        show_default=default is not None,
        help=f"push may push, pull and delete; pull may only pull. {more}".rstrip(),
    )
