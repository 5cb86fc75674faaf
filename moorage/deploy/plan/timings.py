"""The times that steps of earlier runs took, to estimate the next run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from moorage.deploy.events import STEPS, Event, OnEvent, RunEnded, StepBegan
from moorage.deploy.plan.plan import Kind, ServerPlan
from moorage.servers.run_results import RunStatus
from moorage.state import private_folder, write_private

_MOST = 15
_OPTIONAL = {
    "wait",
    "packages",
    "account",
    "image",
    "version",
    "prove",
    "staged",
    "drain",
    "back-up",
}
"""Steps that not every run has."""


class StepTimer:
    """Forwards events, and records how long the steps of runs took that succeeded.

    Args:
        on_event: Called with every event.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._began: dict[str, list[tuple[str, float]]] = {}
        self._lock = threading.Lock()

    def on_event(self, event: Event) -> None:
        """Forward an event; called from several threads."""
        self._on_event(event)
        if isinstance(event, StepBegan):
            self._began.setdefault(event.server, []).append((event.step, event.at))
        elif isinstance(event, RunEnded) and event.status is RunStatus.DONE:
            began = self._began.get(event.server, [])
            ends = [at for _, at in began[1:]] + [event.at]
            took = {step: end - at for (step, at), end in zip(began, ends, strict=True)}
            # An estimate is no reason to fail: the disk here may be full.
            with self._lock, suppress(OSError):
                record(took)


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
    return {step: _median(known[step]) for step in to_come if known.get(step)}


def steps_of(plan: ServerPlan) -> list[str]:
    """Return the steps a run on a server will have, in order."""
    kinds = {change.kind for change in plan.changes}
    left_out = {"connect", "probe", "wait", "rollback", "staged"}
    left_out |= set() if Kind.PACKAGE in kinds else {"packages"}
    left_out |= set() if Kind.IMAGE in kinds else {"image"}
    left_out |= set() if plan.switches else {"registry"}
    left_out |= set() if plan.proves_program and plan.takes_program else {"prove"}
    left_out |= set() if plan.slot_from and plan.switches else {"drain"}
    left_out |= set() if plan.ask else {"certificate"}
    moments = {hook.moment for hook in plan.hooks}
    left_out |= set() if "before_apply" in moments else {"hooks-before"}
    left_out |= set() if "after_apply" in moments else {"hooks-after"}
    return [step for step in STEPS if step not in left_out]


def _median(times: list[float]) -> float:
    """Return the median; importing statistics takes longer than all else here."""
    return sorted(times)[len(times) // 2]


def _file() -> Path:
    return private_folder() / "timings.json"
