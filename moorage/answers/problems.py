"""Turn pydantic's errors into plain sentences.

They repeat a value only of a number with limits or a choice of words: no secret belongs there. A
value of any other field can be a secret in the wrong place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from moorage.answers.document import Document, Path
from moorage.answers.fields import unusual_character
from moorage.answers.model import Answers, storage_not_shared
from moorage.errors import Problem

_MISSING = {
    "domain": "the registry's DNS name, such as registry.example.com",
    "registry": "a section with domain, the registry's name",
    "servers": "a list with at least one server, such as - {host: 203.0.113.10}",
    "credentials": "a section with users, the list of registry users",
    "users": "a list with at least one user, such as - {name: ci, password: {generate: true}}",
    "host": "an IP address, a host name or an alias from ~/.ssh/config",
    "bucket": "the name of the bucket",
    "region": "a region such as eu-central-1",
    "certificate": "the path of a PEM file with the certificate and its chain",
    "key": "the path of a PEM file with the private key",
    "name": "a name",
    "password": "a reference such as {env: CI_PASSWORD}, or {generate: true}",
}
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,19}")
_LARGEST_SHOWN = 10**12
_NOT_TEXT = {"string_type", "string_unicode", "string_sub_type"}
_OWN = {"wrong", "plain_text_secret", "secret_reference", "missing"}
"""The types of errors that are codes, or whose context has one."""
_CODES = {
    "string_too_long": "too_long", "greater_than_equal": "too_small",
    "less_than_equal": "too_large", "literal_error": "not_a_choice", "tuple_type": "not_a_list",
    "dict_type": "not_a_section", "model_type": "not_a_section",
    "model_attributes_type": "not_a_section", "string": "not_text", "int": "not_a_number",
    "bool": "not_a_boolean",
}  # fmt: skip
"""The codes of pydantic's types of errors, or of the words they begin with."""


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """Return the problems, in the order of the file.

    Args:
        error: pydantic's error for the document's value.
        document: The answers as read, with positions.
    """
    details = error.errors(include_url=False)
    problems = [_problem(each, document) for each in details if not _is_echo(each, details)]
    problems += _hidden(document, {problem.path for problem in problems})
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return advice about an unknown key: the nearest known key, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known keys: {', '.join(names)}" if names else "no keys are allowed here"


def _is_echo(error: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Return whether a list is only too short because its items are invalid (and reported)."""
    location = error["loc"]
    return error["type"] == "too_short" and any(
        len(other["loc"]) > len(location) and other["loc"][: len(location)] == location
        for other in details
    )


def _problem(error: ErrorDetails, document: Document) -> Problem:
    path = tuple(error["loc"])
    context = error.get("ctx", {})
    code = _code(error, context)
    if error["type"] == "wrong":
        path += cast(Path, context["at"])
    if path[-1:] == ("[key]",):
        return document.problem(path[:-1], error["msg"], code=code, at_key=True)
    if error["type"] == "extra_forbidden":
        return document.problem(path, _unknown(path, document), code="unknown_key", at_key=True)
    if error["type"] == "missing":
        return document.problem(path, f"is missing; expected {expected_at(path)}", code=code)
    fields = cast(tuple[str, ...], context.get("fields", ()))
    sentence = _sentence(error, path, context, document)
    return document.problem(path, sentence, code=code, fields=fields)


def expected_at(path: Path) -> str:
    """Return what is expected at a path that has no value.

    Args:
        path: The path.
    """
    return _MISSING.get(str(path[-1]) if path else "", "a value")


def _code(error: ErrorDetails, context: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind in {"too_short", "string_too_short"} or (kind in _NOT_TEXT and error["input"] is None):
        return "empty"
    if kind in _OWN:
        return str(context.get("kind", kind))
    return _CODES.get(kind) or _CODES.get(kind.partition("_")[0], "wrong_type")


def _sentence(
    error: ErrorDetails, path: Path, context: Mapping[str, Any], document: Document
) -> str:
    kind = error["type"]
    if kind in {"wrong", "plain_text_secret", "secret_reference"}:
        return error["msg"]
    if kind in _NOT_TEXT:
        return _not_text(error, path, document)
    sentences = {
        "too_short": f"is empty; expected {expected_at(path)}",
        "string_too_short": "is empty",
        "string_too_long": f"is too long (maximum {context.get('max_length')} characters)",
        "greater_than_equal": f"must be at least {context.get('ge')}{_instead_of(error)}",
        "less_than_equal": f"must be at most {context.get('le')}{_instead_of(error)}",
        "literal_error": f"must be {_choices(path) or context.get('expected')}{_instead_of(error)}",
        "tuple_type": "must be a list, each item on its own line beginning with '- '",
        "dict_type": "must be a section of keys and values",
        "model_type": f"must be a section with {_keys(path)}",
        "model_attributes_type": f"must be a section with {_keys(path)}",
    }
    if kind in sentences:
        return sentences[kind]
    if kind.startswith("int_"):
        return "must be a whole number"
    if kind.startswith("bool_"):
        return "must be true or false"
    return "has the wrong type; see docs/answers.md"


def _instead_of(error: ErrorDetails) -> str:
    """Return the value for the end of a sentence; empty if it is no word or number."""
    value = error["input"]
    if isinstance(value, str) and _WORD.fullmatch(value):
        return f", not '{value}'"
    # YAML reads yes as true, so a boolean is not what the file has.
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return f", not {value}" if is_number and abs(value) < _LARGEST_SHOWN else ""


def _not_text(error: ErrorDetails, path: Path, document: Document) -> str:
    value = error["input"]
    if value is None:
        return f"is empty; expected {expected_at(path)}"
    if isinstance(value, bool):
        written = document.booleans.get(path, "")
        if written.lower() in {"yes", "no", "on", "off", "true", "false"}:
            return f"must be text, but YAML reads {written} as true or false; write '{written}'"
        return "must be text, not true or false; put it in quotes"
    if isinstance(value, (int, float)):
        return "must be text, but YAML reads this as a number; put it in quotes"
    if isinstance(value, str):
        return "contains an invalid Unicode character"
    return f"must be text, not {'a list' if isinstance(value, list) else 'a section'}"


def _unknown(path: Path, document: Document) -> str:
    unusual = unusual_character(str(path[-1]))
    if unusual:
        return f"unknown key; it {unusual}"
    model = model_at(path[:-1])
    known = set(model.model_fields) if model is not None else set()
    above: Any = document.value
    for part in path[:-1]:
        above = above[part]
    missing = known - set(above)
    # Prefer keys that the section does not have yet.
    near = difflib.get_close_matches(str(path[-1]).lower(), sorted(missing), n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else nearest(str(path[-1]), known)
    return f"unknown key; {hint}"


def model_at(path: Path) -> type[BaseModel] | None:
    """Return the part of the model for the section at a path, if there is one."""
    model: type[BaseModel] = Answers
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        found = _model_in(field.annotation) if field is not None else None
        if found is None:
            return None
        model = found
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _keys(path: Path) -> str:
    model = model_at(path)
    return ", ".join(model.model_fields) if model is not None else "keys and values"


def _choices(path: Path) -> str:
    """Return a field's allowed values as text: push or pull."""
    names = [part for part in path if isinstance(part, str)]
    model = model_at(tuple(names[:-1]))
    if model is None or not names or names[-1] not in model.model_fields:
        return ""
    found = [str(each) for each in _literals(model.model_fields[names[-1]].annotation)]
    return f"{', '.join(found[:-1])} or {found[-1]}" if len(found) > 1 else "".join(found)


def _literals(annotation: Any) -> list[Any]:
    result = []
    for inner in get_args(annotation):
        if isinstance(inner, (str, int)):
            result.append(inner)
        else:
            result += _literals(inner)
    return result


def _hidden(document: Document, reported: set[Path]) -> list[Problem]:
    """Find problems that the model only checks once its parts are valid."""
    data = document.value
    if not isinstance(data, dict):
        return []
    problems: list[tuple[Path, str]] = []
    storage = data.get("storage") or {}
    servers = data.get("servers")
    driver = storage.get("driver", "filesystem") if isinstance(storage, dict) else None
    where = ("storage", "driver")
    if isinstance(servers, list) and len(servers) > 1 and driver == "filesystem":
        problems.append((where, storage_not_shared(len(servers))))
    lists: list[tuple[Path, Any, str, str]] = [(("servers",), servers, "host", "server")]
    credentials = data.get("credentials")
    if isinstance(credentials, dict):
        lists.append((("credentials", "users"), credentials.get("users"), "name", "user"))
    for above, items, key, word in lists:
        seen: set[tuple[str, Any]] = set()
        for position, item in enumerate(items if isinstance(items, list) else []):
            name = item.get(key) if isinstance(item, dict) else None
            if not isinstance(name, str):
                continue
            port = item.get("port") if word == "server" else None
            if (name, str(port)) in seen:
                message = f"the {word} {name} is listed more than once"
                problems.append(((*above, position, key), message))
            seen.add((name, str(port)))
    return [document.problem(path, text) for path, text in problems if path not in reported]
