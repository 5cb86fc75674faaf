"""Describes the consequences of a plan and what to expect, for Review and for questions."""

from __future__ import annotations

from textual.content import Content

from moorage.deploy.plan.plan import Plan
from moorage.escape import printable


def describe_consequences(plan: Plan) -> list[Content]:
    """Return the consequences of a plan: a line for each destructive one, then the rest."""
    count = len(plan.servers)
    lines = [Content.styled(printable(f"! {each.sentence(count)}"), "$text-error")
             for each in plan.destructive]  # fmt: skip
    rest = [each.sentence(count) for each in plan.consequences if not each.is_destructive]
    return [*lines, Content(printable(" ".join(rest)))] if rest else lines


def describe_effects(plan: Plan) -> list[Content]:
    """Return the consequences of a plan, and what to expect of the run."""
    rows = [Content(printable(f"{row.label}: {row.text}")) for row in plan.expectations]
    return [*describe_consequences(plan), *rows]
