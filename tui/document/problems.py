"""What is wrong in an answers file that is opened, in the file's own words. No Textual in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from moorage.answers.problems import model_at
from moorage.errors import Problem
from tui.document.draft import Draft


@dataclass(frozen=True)
class Mistakes:
    """Everything that is wrong in a file.

    Attributes:
        file: The file.
        problems: What is wrong, in the order of the file.
    """

    file: str
    problems: tuple[Problem, ...]

    @property
    def lines(self) -> list[str]:
        """A line for each: where it stands, its key, what is wrong and what would be right."""
        name = PurePath(self.file).name
        return [
            f"{name}:{problem.line or 1}: "
            + (f"{problem.dotted}: " if problem.path else "")
            + problem.message
            for problem in self.problems
        ]

    @property
    def unknown(self) -> tuple[tuple[str | int, ...], ...]:
        """The places of keys that answers do not have, so that no field has them either."""
        return tuple(each.path for each in self.problems if _is_unknown(each.path))

    def first_in(self, draft: Draft) -> Problem | None:
        """Return the first that is still wrong in a draft, or None."""
        return next((each for each in self.problems if draft.problem_at(each.dotted)), None)


def without(draft: Draft, places: Sequence[tuple[str | int, ...]]) -> None:
    """Take keys out of a draft."""
    for place in places:
        draft.remove(Problem(place, "").dotted)


def _is_unknown(path: tuple[str | int, ...]) -> bool:
    if not path or not isinstance(path[-1], str):
        return False
    model = model_at(path[:-1])
    return model is not None and path[-1] not in model.model_fields
