"""Parse a pasted block of the registry's S3 settings, in any common format."""

from __future__ import annotations

import difflib
import re
from typing import Any, cast, get_args

from moorage.answers.model import S3Storage
from moorage.answers.secrets import FromEnvironment, Secret, Typed
from moorage.errors import Problem

_S3 = "REGISTRY_STORAGE_S3_"
_SECRETS = {"accesskey", "secretkey"}
_FIELDS = {name: field for name, field in S3Storage.model_fields.items() if name != "redirect"}
_AWS = {
    "AWS_ACCESS_KEY_ID": "accesskey",
    "AWS_SECRET_ACCESS_KEY": "secretkey",
    "AWS_REGION": "region",
    "AWS_DEFAULT_REGION": "region",
    "AWS_ENDPOINT_URL": "regionendpoint",
    "AWS_ENDPOINT_URL_S3": "regionendpoint",
}
# Prefixes of a name: a list's dash, a shell's export, docker's -e, a Dockerfile's ENV.
_BEFORE = re.compile(r"^(?:-\s+|export\s+|set\s+|ENV\s+|(?:-e|--env)[\s=]+|\$env:)+", re.I)
_LINE = re.compile(r"""^["']?([A-Za-z][A-Za-z0-9_]*)["']?\s*(=|:(?=\s|$))\s*(.*)$""")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def paste_s3_environment(text: str) -> tuple[dict[str, Any], list[Problem]]:
    """Return the S3 storage fields in a pasted text, and the problems in it.

    Supports ``NAME=value`` and ``NAME: value``, as in shells, env files, compose files and the
    registry's own configuration, with ``REGISTRY_STORAGE_S3_*``, AWS's names or bare keys. A secret
    becomes a :class:`~moorage.answers.secrets.Typed`, or a reference if the text names an
    environment variable.

    Args:
        text: What was pasted.

    Returns:
        Values for the fields of ``S3Storage``, and problems with their line in the text. Problems
        never contain a value.
    """
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        pair = _read_line(line)
        if pair is None:
            continue
        name, value = pair
        field, message = _field_of(name, value)
        if field:
            fields[field], message = _convert(field, value)
            if message:
                del fields[field]
        if message:
            path = ("storage", "s3", field) if field else ("storage", "s3")
            problems.append(Problem(path, message, line=number))
    return fields, problems


def _read_line(line: str) -> tuple[str, str] | None:
    """Return a line's name and value, an empty name if it is invalid, or None if it is blank."""
    stripped = line.strip().removesuffix("\\").rstrip()
    if not stripped or stripped.startswith(("#", "//", ";")):
        return None
    stripped = _BEFORE.sub("", stripped)
    if stripped[:1] in {'"', "'"} and stripped[-1:] == stripped[:1] and "=" in stripped:
        stripped = stripped[1:-1]  # the whole pair in quotes, as compose files have it
    match = _LINE.match(stripped.rstrip(","))
    if match is None:
        return "", ""
    name, _, value = match.groups()
    return name, _unquoted(value)


def _unquoted(value: str) -> str:
    value = value.strip()
    if value[:1] in {'"', "'"}:
        quote = value[0]
        end = value.find(quote, 1)
        while quote == '"' and end > 0 and value[end - 1] == "\\":
            end = value.find(quote, end + 1)
        if end > 0:
            inner = value[1:end]
            return re.sub(r'\\(["\\$`])', r"\1", inner) if quote == '"' else inner
    return re.split(r"\s#", value, maxsplit=1)[0].rstrip().removesuffix(";").rstrip()


def _field_of(name: str, value: str) -> tuple[str, str]:
    """Return the field for a name, or why the name is invalid; both empty if it can be ignored."""
    if not name:
        return "", "cannot be parsed; expected NAME=value"
    upper = name.upper()
    known = name.lower() if name.lower() in _FIELDS else _AWS.get(upper, "")
    if upper.startswith(_S3) and upper.removeprefix(_S3).lower() in _FIELDS:
        known = upper.removeprefix(_S3).lower()
    if known:
        return known, ""
    if upper == "REGISTRY_STORAGE" and value.lower() not in {"", "s3"}:
        return "", "REGISTRY_STORAGE selects a driver other than s3"
    if upper in {"REGISTRY_STORAGE", "STORAGE", "S3", "ENVIRONMENT"}:
        return "", ""
    return "", _unknown(name)


def _unknown(name: str) -> str:
    upper = name.upper()
    near = difflib.get_close_matches(upper, [_S3 + each.upper() for each in _FIELDS], n=1)
    if near:
        return f"unknown setting {name}; did you mean {near[0]}?"
    if upper.startswith("REGISTRY_"):
        return f"{name} is not an S3 setting: it belongs to the registry's environment"
    return f"{name} is not an S3 setting"


def _convert(field: str, value: str) -> tuple[Any, str]:
    """Return a field's value, or why it is invalid."""
    if not value:
        return None, "is empty"
    variable = _VARIABLE.fullmatch(value)
    if field in _SECRETS:
        return FromEnvironment(variable.group(1)) if variable else Typed(Secret(value)), ""
    if variable:
        return None, "is a variable's name; expected its value"
    kind = _kind(_FIELDS[field].annotation)
    if kind is bool:
        truth = _TRUTHS.get(value.lower())
        return truth, "" if truth is not None else "must be true or false"
    if kind is int:
        number = int(value) if re.fullmatch("[0-9]{1,18}", value) else None
        return number, "" if number is not None else "must be a whole number"
    return value, ""


def _kind(annotation: Any) -> type:
    """Return a field's type: bool, int or str."""
    if annotation in (bool, int, str):
        return cast(type, annotation)
    kinds = [_kind(inner) for inner in get_args(annotation)]
    return next((kind for kind in (bool, int) if kind in kinds), str)
