"""The registry's name within an apply of the wizard: planned with the servers, made after them.

No Textual in here. The order is the command line's: records are made once the registry serves and
was verified, so that nobody is led to a server that does not work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.deploy.events import Event, LogLine, RunEnded, StepBegan
from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.handover import Handover
    from moorage.dns.lookup import Said
    from moorage.dns.work import DnsPlan, DnsReport

NAME_ROW = "DNS records"
"""What stands for the name beside the servers; no server is called so."""
_LOOKED_UP_WITHIN = 5.0
"""Seconds this machine has, after everything else is done, to find the registry's name."""


@dataclass(frozen=True)
class NamePlan:
    """What an apply would do at the registry's name.

    Attributes:
        dns: What would change; None without a provider that can write.
        problem: Why the provider could not be asked.
    """

    dns: DnsPlan | None = None
    problem: MoorageError | None = None

    @property
    def has_changes(self) -> bool:
        """Whether an apply would change records."""
        return self.dns is not None and self.dns.has_changes

    @property
    def foreign(self) -> tuple[str, ...]:
        """The records that somebody else made and an apply would replace, one a line."""
        foreign = self.dns.foreign if self.dns is not None else ()
        return tuple(line for each in foreign for line in each.lines())


@dataclass(frozen=True)
class NameOutcome:
    """How the registry's name is in the end.

    Attributes:
        handed: Where it leads to on this machine, and what it needs.
        report: How a change of its records ended; None when there was none.
        problem: Why they were not changed.
        was_left_out: Whether they were not changed because nobody waited for the checks.
    """

    handed: Handover
    report: DnsReport | None = None
    problem: MoorageError | None = None
    was_left_out: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the records that were to be made are served."""
        return self.problem is None and (self.report is None or not self.report.missing)


def plan_name(deployment: Deployment) -> NamePlan:
    """Return what has to change at the registry's name; nothing where the operator does it.

    Args:
        deployment: The deployment; its servers were read.
    """
    if deployment.answers.dns.provider == "manual":
        return NamePlan()
    try:
        return NamePlan(deployment.name.plan())
    except MoorageError as error:
        return NamePlan(problem=error)


def lead_name(
    deployment: Deployment, plan: NamePlan, tell: Callable[[Event], object]
) -> NameOutcome:
    """Make the records of a plan and wait until they are served; blocks.

    Records of somebody else's are replaced: whoever applies has seen them and said so.

    Args:
        deployment: The deployment; its servers serve, and were verified.
        plan: What was planned; without changes the name is only looked at.
        tell: Takes events of :data:`NAME_ROW`.
    """
    if not plan.has_changes:
        return NameOutcome(_handed(deployment))
    if deployment.cancel.is_set:
        return NameOutcome(_handed(deployment), was_left_out=True)
    assert plan.dns is not None
    tell(StepBegan(NAME_ROW, "Changing the records, and waiting for the name servers"))
    for change in plan.dns.changes:
        for line in change.diff:
            tell(LogLine(NAME_ROW, line))
    try:
        report = deployment.name.apply(plan.dns, replace=bool(plan.foreign))
    except MoorageError as error:
        tell(RunEnded(NAME_ROW, "", "failed", str(error)))
        return NameOutcome(_handed(deployment), problem=error)
    for line in report_lines(report):
        tell(LogLine(NAME_ROW, line))
    served = not report.missing
    message = "" if served else "not on all name servers yet"
    tell(RunEnded(NAME_ROW, "", "done" if served else "not served", message))
    return NameOutcome(_handed(deployment), report)


def report_lines(report: DnsReport) -> list[str]:
    """Return what the zone's name servers say after a change, each line with its sign."""
    lines = [f"! {report.note}"] if report.note else []
    if report.is_served:
        count = len(report.said)
        lines.append(
            f"✓ served by {'its name server' if count == 1 else f'all {count} name servers'}"
        )
    return lines + [f"✗ not yet: {_told(each)}" for each in report.missing]


def _told(said: Said) -> str:
    values = ", ".join(sorted(said.values)) or "nothing"
    return said.fault or f"{said.server} says {values}"


def _handed(deployment: Deployment) -> Handover:
    """What the name leads to here; a resolver that is silent is not waited for."""
    from moorage.deploy.handover import handover
    from moorage.dns.here import addresses_here

    answers, found = deployment.answers, []

    def look() -> None:
        found.append(addresses_here(answers.registry.domain))

    thread = threading.Thread(target=look, name="look-up", daemon=True)
    thread.start()
    thread.join(_LOOKED_UP_WITHIN)
    return handover(answers, deployment.all_addresses, found[0] if found else ())
