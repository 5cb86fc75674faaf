"""Look up fields by path: their description, default and section of the model.

The descriptions are the texts below the fields in the model's source. They are read on demand,
because reading them while the model loads would slow down every start by a few milliseconds.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel


def describe(section: type[BaseModel], field: str) -> str:
    """Return a field's description; empty if it has none.

    Args:
        section: A part of the answers, for example ``Registry``.
        field: The field's name.
    """
    return _descriptions(section.__module__).get((section.__name__, field), "")


def summary(path: str) -> str:
    """Return the first line of a field's description; empty if there is no such field.

    Args:
        path: The field's path, such as ``storage.s3.region`` or ``servers[].host``.
    """
    return description(path).partition("\n")[0]


def description(path: str) -> str:
    """Return a field's whole description; empty if there is no such field.

    Args:
        path: The field's path, as in :func:`summary`.
    """
    section, name = _field(path)
    return describe(section, name) if section is not None else ""


def default(path: str) -> str:
    """Return a field's default if it is text or a number; empty otherwise.

    Args:
        path: The field's path, as in :func:`summary`.
    """
    section, name = _field(path)
    value = section.model_fields[name].default if section is not None else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _field(path: str) -> tuple[type[BaseModel] | None, str]:
    """Return a field's section, or None, and its name."""
    from moorage.answers.model import Answers

    section: type[BaseModel] | None = Answers
    *above, name = path.replace("[]", "").split(".")
    for each in above:
        fields = section.model_fields if section is not None else {}
        section = next(_sections(fields[each].annotation), None) if each in fields else None
    return (section, name) if section is not None and name in section.model_fields else (None, "")


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that a field of a type has or lists."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _sections(each)


@functools.cache
def _descriptions(module: str) -> dict[tuple[str, str], str]:
    """Return the text below each field of a module's sections, by section and field name."""
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
