"""Retention rules and the schedule of collections: the part of the answers about images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from moorage.answers.base import AnswersModel
from moorage.answers.calendar_expression import EXAMPLES, check_calendar, never_comes
from moorage.answers.fields import (
    REPOSITORY_RULE,
    WHOLE_NUMBER,
    check_typed,
    matching,
    reject,
)
from moorage.durations import FORM, PATTERN, seconds

Duration = Annotated[str, matching(PATTERN, FORM)]
"""A period, such as 30d or 12h."""
Pattern = Annotated[
    str,
    matching(
        rf"\*|{REPOSITORY_RULE}",
        "a repository such as team-a/app, team-a/* for all below team-a, or * for all",
    ),
]
TagPattern = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_.*?-]+",
        "a tag such as latest, or a pattern such as v*: letters, digits and _ . - with * and ?",
        128,
    ),
]


def _check_expression(value: str, info: ValidationInfo) -> str:
    check_typed(value)
    if fault := check_calendar(value):
        raise reject("wrong_form", fault)
    # What was applied earlier stays valid, whatever day it is.
    today = (info.context or {}).get("today")
    if today is not None and never_comes(value, today):
        raise reject("wrong_form", f"must be a time that comes again, such as {EXAMPLES}")
    return value


class Keep(AnswersModel):
    """The conditions of a retention rule: a tag stays if any of them applies."""

    last: Annotated[int, Field(ge=1, le=1_000_000), WHOLE_NUMBER] | None = None
    """Keep this many of the images pushed last, with all their tags."""
    tags: tuple[TagPattern, ...] = ()
    """Keep tags that match one of these patterns, such as v* or release-*."""
    pushed_within: Duration | None = None
    """Keep what was pushed within this time, such as 30d or 12h."""
    pulled_within: Duration | None = None
    """Keep what was pulled within this time, such as 90d.

    Everything stays until pulls have been noted for that long.
    """

    @model_validator(mode="after")
    def _keeps_something(self) -> Keep:
        if self.last is None and not (self.tags or self.pushed_within or self.pulled_within):
            message = (
                "must keep something: set last, tags, pushed_within or pulled_within, or every tag "
                "would be removed"
            )
            raise reject("incomplete", message)
        return self


class RetentionRule(AnswersModel):
    """A rule that removes the tags it does not keep."""

    repositories: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    """The repositories it is for: team-a/app, team-a/* for all below team-a, or * for all."""
    keep: Keep
    """What stays."""


def covered_by(rules: Sequence[RetentionRule], position: int) -> int | None:
    """Return the position of the earlier rule without which a rule would have an effect.

    Args:
        rules: The rules, in order.
        position: The rule's position.

    Returns:
        None if it has one: the earlier rules leave it a repository.
    """
    last = 0
    for pattern in rules[position].repositories:
        found = next(
            (number for number in range(position) if _covers(rules[number], pattern)), None
        )
        if found is None:
            return None
        last = max(last, found)
    return last


def _covers(rule: RetentionRule, pattern: str) -> bool:
    return any(
        each in {"*", pattern} or (each.endswith("/*") and pattern.startswith(each[:-1]))
        for each in rule.repositories
    )


class Collect(AnswersModel):
    """The schedule on which the server frees space by itself, and what it spares."""

    when: Annotated[str, AfterValidator(_check_expression)] | None = None
    """When a timer on the server applies the rules and collects, such as Sun 03:00.

    A calendar expression of systemd (OnCalendar). Without it, both are done by hand.
    """
    grace: Duration = "1h"
    """How long pushes in progress get to end before anything is moved."""
    young: Duration = "24h"
    """What was pushed within this time stays. A push that takes longer can fail."""
    trash: Duration = "7d"
    """How long what was removed stays in the trash, from which it can be restored."""
    untagged: Duration = "30d"
    """Images without a tag stay if they were pulled by digest within this time."""

    @model_validator(mode="after")
    def _is_sensible(self) -> Collect:
        if seconds(self.grace) > 7 * 24 * 3600:
            raise reject("too_large", "must not be longer than 7d", ("grace",))
        return self
