"""The steps, their order and progress. Does not import Textual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from moorage.errors import Problem


class Step(StrEnum):
    """The steps of the wizard, in order; all but Review can be listed in ``ask``."""

    SERVERS = "servers"
    CREDENTIALS = "credentials"
    STORAGE = "storage"
    DNS = "dns"
    SSL = "ssl"
    ADVANCED = "advanced"
    REVIEW = "review"

    @property
    def label(self) -> str:
        """The step's label."""
        return {"dns": "DNS", "ssl": "SSL"}.get(self.value, self.value.capitalize())

    @property
    def number(self) -> int:
        """The step's place, from 1."""
        return STEPS.index(self) + 1


STEPS: tuple[Step, ...] = tuple(Step)


class Mark(StrEnum):
    """The state of a step, as the sign in front of it."""

    CURRENT = "●"
    DONE = "✓"
    WRONG = "✗"
    OPEN = "○"
    CHANGED = "~"

    @property
    def meaning(self) -> str:
        """The mark in words."""
        return {
            Mark.CURRENT: "current",
            Mark.DONE: "done",
            Mark.WRONG: "has problems",
            Mark.OPEN: "not visited",
            Mark.CHANGED: "changed, not applied",
        }[self]


@dataclass(frozen=True)
class Progress:
    """The current step and the ones before it.

    Attributes:
        current: The step that is shown.
        visited: The steps that have been left at least once.
        asked: The steps that the answers list in ``ask``; if there are any, Next visits only
            these and then Review.
    """

    current: Step = Step.SERVERS
    visited: frozenset[Step] = frozenset()
    asked: tuple[Step, ...] = ()

    def moved_to(self, step: Step) -> Progress:
        """Return the progress at another step; the current one becomes visited."""
        return Progress(step, self.visited | {self.current}, self.asked)

    def next(self) -> Step:
        """Return the next step."""
        following = STEPS[self.current.number :]
        if self.asked:
            following = tuple(
                step for step in following if step in self.asked or step is Step.REVIEW
            )
        return following[0] if following else Step.REVIEW

    def previous(self) -> Step | None:
        """Return the previous step, or None at the first."""
        index = STEPS.index(self.current)
        return STEPS[index - 1] if index else None

    def mark(
        self,
        step: Step,
        wrong: Iterable[Step],
        *,
        changed: Iterable[Step] = (),
        is_applied: bool = False,
    ) -> Mark:
        """Return the mark of a step.

        Args:
            step: The step.
            wrong: The steps that have problems.
            changed: The steps with changes that are not applied.
            is_applied: Whether the answers are applied, which is what completes Review.
        """
        if step is self.current:
            return Mark.CURRENT
        if step is Step.REVIEW:
            return Mark.DONE if is_applied else Mark.OPEN
        if step not in self.visited:
            return Mark.OPEN
        if step in set(wrong):
            return Mark.WRONG
        return Mark.CHANGED if step in set(changed) else Mark.DONE


def begin(
    asked: Sequence[str],
    wrong: Iterable[Step],
    *,
    is_new: bool,
    seen: Sequence[str] | None = None,
    left_at: str = "",
) -> Progress:
    """Return the progress that the wizard opens with.

    Args:
        asked: The steps named in ``ask``.
        wrong: The steps that have problems.
        is_new: Whether nothing has been answered yet.
        seen: The steps seen before; None if all of them are filled in.
        left_at: The step shown last, by name; empty if unknown.
    """
    if is_new:
        return Progress()
    faulty = set(wrong)
    steps = tuple(step for step in STEPS if step.value in asked)
    first = next((step for step in STEPS if step in steps or step in faulty), Step.REVIEW)
    first = next((step for step in STEPS if step.value == left_at), first)
    # Steps that are filled in and not listed in ``ask`` count as seen.
    filled_in = STEPS if seen is None else [step for step in STEPS if step.value in seen]
    visited = frozenset(filled_in) - {first, Step.REVIEW} - set(steps)
    return Progress(first, visited, tuple(step for step in STEPS if step in {*steps, *faulty}))


def step_of(problem: Problem) -> Step:
    """Return the step a problem belongs to."""
    return step_at(problem.path)


def step_at(path: tuple[str | int, ...]) -> Step:
    """Return the step with the field for a path."""
    head = path[0] if path else ""
    if head == "registry":
        field = path[1] if len(path) > 1 else ""
        return Step.SERVERS if field in {"", "domain"} else Step.ADVANCED
    if head in {"rollout", "hooks"}:
        return Step.ADVANCED
    if head in {"retention", "collect"}:
        return Step.STORAGE
    if isinstance(head, str) and head in {step.value for step in STEPS}:
        return Step(head)
    return Step.SERVERS


def wrong_steps(problems: Iterable[Problem]) -> set[Step]:
    """Return the steps that have problems."""
    return {step_of(problem) for problem in problems}
