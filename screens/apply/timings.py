"""Step times of earlier runs, to estimate the time left."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from moorage.deploy.events import STEPS
from moorage.deploy.plan import Kind, ServerPlan
from moorage.state import private_folder, write_private

_MOST = 15


def recorded() -> dict[str, list[float]]:
    """Return the seconds that each step took in the last runs; empty if there were none."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        return {str(step): [float(each) for each in times] for step, times in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def record(times: Mapping[str, float]) -> None:
    """Store the seconds that the steps of a run took."""
    known = recorded()
    for step, seconds in times.items():
        known[step] = [*known.get(step, []), round(seconds, 2)][-_MOST:]
    write_private(_file(), json.dumps(known).encode())


def expected(steps: Iterable[str], known: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the expected seconds of each step; empty if one was never timed.

    Args:
        steps: The steps to come.
        known: The result of :func:`recorded`.
    """
    to_come = list(steps)
    if not known or any(step not in known for step in to_come if step not in _OPTIONAL):
        return {}
    return {step: statistics.median(known[step]) for step in to_come if known.get(step)}


_OPTIONAL = {"wait", "packages", "account", "image", "version", "staged", "drain", "back-up"}
"""Steps that not every run has."""


def steps_of(plan: ServerPlan) -> list[str]:
    """Return the steps a run on a server will have, in order."""
    kinds = {change.kind for change in plan.changes}
    left_out = {"connect", "probe", "wait", "rollback", "staged"}
    left_out |= set() if Kind.PACKAGE in kinds else {"packages"}
    left_out |= set() if Kind.IMAGE in kinds else {"image"}
    left_out |= set() if plan.switches else {"registry"}
    left_out |= set() if plan.slot_from and plan.switches else {"drain"}
    return [step for step in STEPS if step not in left_out]


def _file() -> Path:
    return private_folder() / "timings.json"
