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


def access_option(*, required: bool) -> Callable[[_Function], _Function]:
    """Return the option ``--access``.

    Args:
        required: Whether it has to be given; push is meant otherwise, as in an answers file.
    """
    more: dict[str, Any] = {"required": True}
    if not required:
        more = {"default": "push", "show_default": True}
    return click.option(
        "--access",
        type=click.Choice(["push", "pull"]),
        help="push may push, pull and delete; pull may only pull.",
        **more,
    )
