"""How long the steps of a run took before, and so how long the rest of one will take."""

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
    """Return the seconds each step took in the last runs, by step; empty when there were none."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        return {str(step): [float(each) for each in times] for step, times in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def record(times: Mapping[str, float]) -> None:
    """Keep how long the steps of one run took, in seconds."""
    known = recorded()
    for step, seconds in times.items():
        known[step] = [*known.get(step, []), round(seconds, 2)][-_MOST:]
    write_private(_file(), json.dumps(known).encode())


def expected(steps: Iterable[str], known: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the seconds each step is expected to take; nothing when one was never timed.

    Args:
        steps: The steps that are to come.
        known: What :func:`recorded` returned.
    """
    wanted = list(steps)
    if not known or any(step not in known for step in wanted if step not in _AT_TIMES):
        return {}
    return {step: statistics.median(known[step]) for step in wanted if known.get(step)}


_AT_TIMES = {"wait", "packages", "account", "image", "version", "staged", "drain", "back-up"}
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
