"""Every field of the answers, given something wrong: it is told where, and in words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage.answers.load import loads_draft

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "everything.yml"
EVERYTHING: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
# What the registry itself takes is checked against its own keys, elsewhere.
FREE = {("registry", "settings")}
WRONG: dict[str, object] = {
    "a list in a list": [[1]],
    "a mapping with an unknown key": {"no-such-key": 1},
    "10 kB with line breaks": "x\n\x1b[31m" * 1500,
}


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path in FREE:
        return
    is_reference = isinstance(value, dict) and len(value) == 1 and path[-1:] != ("environment",)
    if isinstance(value, dict) and not (is_reference and _is_reference(value)):
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for position, below in enumerate(value):
            yield from _leaves(below, (*path, position))
    else:
        yield path


def _is_reference(value: dict[str, Any]) -> bool:
    return next(iter(value)) in {"env", "file", "command", "keyring", "prompt", "hash", "generate"}


LEAVES = sorted(_leaves(EVERYTHING), key=str)


def _with(path: tuple[str | int, ...], wrong: object) -> str:
    document = copy.deepcopy(EVERYTHING)
    place: Any = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = wrong
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def test_the_example_has_every_field_and_is_valid() -> None:
    assert len(LEAVES) > 50
    assert loads_draft(EXAMPLE.read_text(encoding="utf-8")).problems == ()


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("path", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_errors_are_reported_at_their_path(path: tuple[str | int, ...], kind: str) -> None:
    loaded = loads_draft(_with(path, WRONG[kind]), "moorage.yml")
    problems = [problem for problem in loaded.problems if problem.path[: len(path)] == path]
    assert problems, [str(problem) for problem in loaded.problems]
    assert loaded.answers is None
    for problem in problems:
        assert problem.line is not None
        assert problem.line > 1 or path == ("version",)
        assert problem.message
        assert len(problem.message) < 600
        assert "\x1b" not in problem.message
        assert "Input should" not in problem.message
