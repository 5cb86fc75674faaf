"""Check what incomplete or invalid answers add to the registry's configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from moorage.answers.base import AnswersModel
from moorage.answers.load import LoadedAnswers
from moorage.answers.model import (
    VERSION,
    Answers,
    Credentials,
    Registry,
    S3Storage,
    Server,
    Storage,
)
from moorage.errors import Problem
from moorage.registry_keys.check import check_registry
from moorage.registry_keys.tree import VERSIONS

_Part = TypeVar("_Part", bound=AnswersModel)

# What the checks read; the other fields get a valid value here.
_OF_REGISTRY = ("runtime", "image", "version", "settings", "environment")
_OF_S3 = ("region", "regionendpoint", "storageclass", "objectacl", "v4auth")
_OF_VERSION = {"runtime", "image", "version"}
_LONG = {"settings", "environment"}


def check_loaded(loaded: LoadedAnswers) -> tuple[Problem, ...]:
    """Return all problems of an answers file, in its order, including the registry's settings.

    Args:
        loaded: The file as read; can have problems.
    """
    if loaded.answers is not None:
        return tuple(loaded.locate(check_registry(loaded.answers)))
    if loaded.data.get("version", VERSION) != VERSION:
        # The rules of another version are not known.
        return loaded.problems
    known = {problem.path for problem in loaded.problems}
    found = loaded.locate(check_draft(loaded.data))
    problems = [*loaded.problems, *(problem for problem in found if problem.path not in known)]
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))


def check_draft(data: Mapping[str, Any]) -> list[Problem]:
    """Return the problems in what a draft adds, as far as it can be read.

    Invalid parts are left out. If they decide the registry's version, only the problems that all
    versions have are returned.

    Args:
        data: The draft as nested dictionaries and lists.
    """
    registry, left_out = _readable(
        Registry, data.get("registry"), _OF_REGISTRY, {"domain": "registry.example.com"}
    )
    servers, is_known = [], not left_out & _OF_VERSION
    for number, each in enumerate(_items(data.get("servers")) or [{}]):
        server, wrong = _readable(Server, each, ("runtime", "image"), {"host": f"server-{number}"})
        servers.append(server)
        is_known = is_known and not wrong
    answers = Answers.model_construct(
        registry=registry,
        servers=tuple(servers),
        credentials=Credentials.model_construct(users=()),
        storage=_storage(data.get("storage")),
    )
    is_whole = not left_out & _LONG
    if is_known:
        return check_registry(answers, is_whole=is_whole)
    by_version = [
        check_registry(
            answers.model_copy(update={"registry": registry.model_copy(update={"version": each})}),
            is_whole=is_whole,
        )
        for each in VERSIONS
    ]
    in_all = set.intersection(
        *({(problem.path, problem.code) for problem in problems} for problems in by_version)
    )
    return [problem for problem in by_version[-1] if (problem.path, problem.code) in in_all]


def _storage(value: Any) -> Storage:
    if not isinstance(value, Mapping) or value.get("driver") != "s3":
        return Storage()
    s3, _ = _readable(S3Storage, value.get("s3"), _OF_S3, {"bucket": "any", "region": "us-east-1"})
    return Storage(driver="s3", s3=s3)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _readable(
    model: type[_Part], value: Any, names: tuple[str, ...], usual: Mapping[str, Any]
) -> tuple[_Part, set[str]]:
    """Return the valid part of a section, and the fields of which something was left out.

    Args:
        model: The section's model.
        value: The section as read.
        names: The fields to take from it.
        usual: Valid values for the required fields.
    """
    section = value if isinstance(value, Mapping) else {}
    kept = {name: section[name] for name in names if name in section}
    left_out: set[str] = set()
    while True:
        try:
            return model.model_validate({**usual, **kept}), left_out
        except ValidationError as error:
            for each in error.errors(include_url=False):
                name, *below = each["loc"] + tuple(each.get("ctx", {}).get("at", ()))
                left_out.add(str(name))
                _leave_out(kept, str(name), below)


def _leave_out(kept: dict[str, Any], name: str, below: Sequence[int | str]) -> None:
    """Remove an invalid item of a field, or the field if it has no such item."""
    field = kept.pop(name, None)
    place = below[0] if below else None
    if isinstance(field, dict) and place in field:
        kept[name] = {key: value for key, value in field.items() if key != place}
    elif isinstance(field, list) and place is not None:
        # The variables of a list are named, like those of a mapping.
        left = [each for number, each in enumerate(field)
                if number != place and str(each).partition("=")[0] != place]  # fmt: skip
        if len(left) < len(field):
            kept[name] = left
