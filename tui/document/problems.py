"""Mistakes in an answers file, with lines and keys. Does not import Textual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from moorage.answers.problems import model_at
from moorage.errors import Problem
from tui.document.draft import Draft


@dataclass(frozen=True)
class Mistakes:
    """The mistakes in a file.

    Attributes:
        file: The file.
        problems: The mistakes, in the order of the file.
    """

    file: str
    problems: tuple[Problem, ...]

    @property
    def lines(self) -> list[str]:
        """Each mistake as ``FILE:LINE: KEY: what is wrong``."""
        name = PurePath(self.file).name
        return [
            f"{name}:{problem.line or 1}: "
            + (f"{problem.dotted}: " if problem.path else "")
            + problem.message
            for problem in self.problems
        ]

    @property
    def unknown(self) -> tuple[tuple[str | int, ...], ...]:
        """The paths of unknown keys, which have no field."""
        return tuple(each.path for each in self.problems if _is_unknown(each.path))

    def first_in(self, draft: Draft) -> Problem | None:
        """Return the first mistake that a draft still has, or None."""
        return next((each for each in self.problems if draft.problem_at(each.dotted)), None)


def remove_keys(draft: Draft, paths: Sequence[tuple[str | int, ...]]) -> None:
    """Remove keys from a draft."""
    for path in paths:
        draft.remove(Problem(path, "").dotted)


def _is_unknown(path: tuple[str | int, ...]) -> bool:
    if not path or not isinstance(path[-1], str):
        return False
    model = model_at(path[:-1])
    return model is not None and path[-1] not in model.model_fields
