"""Reads the fields' descriptions out of the model's source, when somebody wants to know them."""

from __future__ import annotations

import ast
import functools
import inspect
import sys

from pydantic import BaseModel


def describe(section: type[BaseModel], field: str) -> str:
    """Return a field's description, or nothing where it has none.

    Args:
        section: A part of the answers, for example ``Registry``.
        field: The field's name.
    """
    return _descriptions(section.__module__).get((section.__name__, field), "")


@functools.cache
def _descriptions(module: str) -> dict[tuple[str, str], str]:
    """The text below each field, by the names of section and field."""
    found = {}
    for section in ast.parse(inspect.getsource(sys.modules[module])).body:
        if not isinstance(section, ast.ClassDef):
            continue
        for field, below in zip(section.body, section.body[1:], strict=False):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                text = inspect.cleandoc(str(below.value.value))
                found[section.name, field.target.id] = text
    return found
