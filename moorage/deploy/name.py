"""The registry's name, as a part of a deployment: planned with the servers, changed after them.

Records are made once the registry serves and was verified, so that nobody is led to a server that
does not work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from moorage.answers.model import Answers
from moorage.background import Background
from moorage.deploy.events import CHANGE_RECORDS, LogLine, RunEnded, StepBegan
from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.handover import Handover
    from moorage.dns.lookup import Reply
    from moorage.dns.operations import DnsCheck, DnsPlan, DnsReport
    from moorage.dns.providers import Resolve
    from moorage.dns.records import Provider
    from moorage.servers.transport import Cancel


_LOOKED_UP_WITHIN = 5.0
"""Seconds this machine has, after everything else is done, to find the registry's name."""
NAME_ROW = "DNS records"
"""What stands for the name beside the servers; no server is called so."""


@dataclass(frozen=True)
class RegistryName:
    """The name that people put before their images, and what it leads to.

    Attributes:
        answers: What the operator decided.
        addresses: Where clients reach each server, by label.
        resolve: Finds secrets.
        cancel: Ends the waiting for name servers.
    """

    answers: Answers
    addresses: Mapping[str, str]
    resolve: Resolve = field(repr=False)
    cancel: Cancel

    def open_provider(self) -> Provider:
        """Return who holds the zone; nothing is asked yet.

        Raises:
            MoorageError: A secret leads nowhere, or there is no such provider.
        """
        from moorage.dns.providers import open_provider

        return open_provider(self.answers, self.resolve)

    def plan(self) -> DnsPlan:
        """Return what has to change for the name to lead to all servers.

        Raises:
            MoorageError: The zone's provider does not answer, refuses, or has no such zone.
        """
        from moorage.dns.operations import plan_dns

        return plan_dns(self.answers, self.addresses, self.resolve)

    def plan_undo(self) -> DnsPlan:
        """Return what takes back the last change from this machine.

        Raises:
            MoorageError: There is none, or the zone's provider does not answer or refuses.
        """
        from moorage.dns.operations import plan_undo

        return plan_undo(self.answers, self.addresses, self.resolve)

    def apply(
        self, plan: DnsPlan, *, replace: bool = False, wait: float | None = None
    ) -> DnsReport:
        """Make the changes of a plan and wait until the zone's name servers serve them.

        Args:
            plan: The plan.
            replace: Whether records that are not this deployment's may be replaced.
            wait: Seconds to wait for the name servers; None for what is usual.

        Raises:
            MoorageError: Records of somebody else's are in the way, or the provider refuses.
        """
        from moorage.dns.operations import SERVED_WITHIN, apply_dns

        return apply_dns(
            self.answers,
            plan,
            replace=replace,
            wait=SERVED_WITHIN if wait is None else wait,
            cancelled=lambda: self.cancel.is_set,
        )

    def check(self) -> DnsCheck:
        """Ask the zone's own name servers and this machine what the name leads to.

        Raises:
            MoorageError: A server's name has no address.
        """
        from moorage.dns.operations import check_dns

        return check_dns(self.answers, self.addresses)


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
    deployment: Deployment,
    plan: NamePlan,
    looked_up: Background[tuple[str, ...]] | None = None,
) -> NameOutcome:
    """Make the records of a plan and wait until they are served; blocks.

    Records of somebody else's are replaced: whoever applies has seen them and said so.

    Args:
        deployment: The deployment; its servers serve, and were verified.
        plan: What was planned; without changes the name is only looked at.
        looked_up: What :func:`look_up` began before, to wait less where nothing changes.
    """
    if not plan.has_changes:
        return NameOutcome(handover_of(deployment, looked_up))
    if deployment.cancel.is_set:
        return NameOutcome(handover_of(deployment, looked_up), was_left_out=True)
    assert plan.dns is not None
    tell = deployment.on_event
    tell(StepBegan(NAME_ROW, CHANGE_RECORDS))
    for change in plan.dns.changes:
        for line in change.diff:
            tell(LogLine(NAME_ROW, line))
    try:
        report = deployment.name.apply(plan.dns, replace=bool(plan.foreign))
    except MoorageError as error:
        tell(RunEnded(NAME_ROW, "", "failed", str(error)))
        return NameOutcome(handover_of(deployment), problem=error)
    for line in report_lines(report):
        tell(LogLine(NAME_ROW, line))
    served = not report.missing
    message = "" if served else "not on all name servers yet"
    tell(RunEnded(NAME_ROW, "", "done" if served else "not served", message))
    return NameOutcome(handover_of(deployment), report)


def look_up(deployment: Deployment) -> Background[tuple[str, ...]]:
    """Begin to look the registry's name up on this machine.

    Args:
        deployment: The deployment.
    """
    from moorage.dns.local_resolver import resolve_locally

    return Background(partial(resolve_locally, deployment.answers.registry.domain))


def handover_of(
    deployment: Deployment, looked_up: Background[tuple[str, ...]] | None = None
) -> Handover:
    """Return what people need to know; a resolver that is silent is not waited for.

    Args:
        deployment: The deployment.
        looked_up: What :func:`look_up` began before.
    """
    from moorage.deploy.handover import handover

    found = (looked_up or look_up(deployment)).result(_LOOKED_UP_WITHIN) or ()
    return handover(deployment.answers, deployment.all_addresses, found)


def report_lines(report: DnsReport) -> list[str]:
    """Return what the zone's name servers say after a change, each line with its sign."""
    lines = [f"! {report.note}"] if report.note else []
    if report.is_served:
        count = len(report.replies)
        lines.append(
            f"✓ served by {'its name server' if count == 1 else f'all {count} name servers'}"
        )
    return lines + [f"✗ not yet: {_told(each)}" for each in report.missing]


def _told(reply: Reply) -> str:
    values = ", ".join(sorted(reply.values)) or "nothing"
    return reply.fault or f"{reply.server} says {values}"
