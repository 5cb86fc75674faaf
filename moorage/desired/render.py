"""Render templates."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from templates.load import FOLDER

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 # not HTML; values are validated or quoted
    )


def render(template: str, **values: object) -> bytes:
    """Render a template.

    Args:
        template: Its path below ``templates``, for example ``nginx/site.conf.j2``.
        **values: Its variables; a missing one is an error.
    """
    return _environment().get_template(template).render(**values).encode()


def load_templates() -> None:
    """Compile all templates ahead of time."""
    environment = _environment()
    for name in environment.list_templates(extensions=["j2"]):
        environment.get_template(name)
