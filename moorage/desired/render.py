"""The one place that renders templates."""

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
        autoescape=False,  # noqa: S701 # these are not HTML; values are validated or quoted before
    )


def render(template: str, **values: object) -> bytes:
    """Render a template.

    Args:
        template: Its path below ``templates``, for example ``nginx/site.conf.j2``.
        **values: What it refers to; a name it needs and does not get is an error.
    """
    return _environment().get_template(template).render(**values).encode()


def load_templates() -> None:
    """Compile all templates; :func:`render` does it when it has to."""
    environment = _environment()
    for name in environment.list_templates(extensions=["j2"]):
        environment.get_template(name)
