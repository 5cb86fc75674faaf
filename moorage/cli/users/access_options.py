"""The options for a user's access."""

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
    help="An allowed repository: team-a/app, or 'team-a/*' for all below it; repeatable. "
    "Default: all.",
)


def access_option(default: str | None, more: str = "") -> Callable[[_Function], _Function]:
    """Return the option ``--access``.

    Args:
        default: The default, or None.
        more: More help text.
    """
    return click.option(
        "--access",
        type=click.Choice(["push", "pull"]),
        default=default,
        show_default=default is not None,
        help=f"push allows push, pull and delete; pull allows pull only. {more}".rstrip(),
    )
