"""The registry's DNS name as part of a deployment: planned with the servers, changed after them.

Records are changed once the registry is verified, so that no client is sent to a server that does
not work.
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
from moorage.servers.run_results import RunStatus

if TYPE_CHECKING:
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.handover import Handover
    from moorage.dns.operations import DnsCheck, DnsPlan, DnsReport
    from moorage.dns.providers import Resolve
    from moorage.dns.records import Provider
    from moorage.servers.transport import Cancel


_LOOKED_UP_WITHIN = 5.0
"""Seconds to wait for this machine's resolver to look up the registry's name."""
NAME_ROW = "DNS records"
"""The row of the name in lists of servers; not a valid server label."""


@dataclass(frozen=True)
class RegistryName:
    """The registry's DNS name and its records.

    Attributes:
        answers: The operator's answers.
        addresses: Where clients reach each server, by label.
        resolve: Resolves secret references.
        cancel: Stops waiting for name servers.
    """

    answers: Answers
    addresses: Mapping[str, str]
    resolve: Resolve = field(repr=False)
    cancel: Cancel

    def open_provider(self) -> Provider:
        """Return the provider of the zone, without contacting it.

        Raises:
            MoorageError: A secret cannot be resolved, or there is no such provider.
        """
        from moorage.dns.providers import open_provider

        return open_provider(self.answers, self.resolve)

    def plan(self) -> DnsPlan:
        """Return the changes that make the name resolve to all servers.

        Raises:
            MoorageError: The zone's provider does not answer, refuses, or has no such zone.
        """
        from moorage.dns.operations import plan_dns

        return plan_dns(self.answers, self.addresses, self.resolve)

    def plan_undo(self) -> DnsPlan:
        """Return the changes that undo the last one made from this machine.

        Raises:
            MoorageError: There was none, or the zone's provider does not answer or refuses.
        """
        from moorage.dns.operations import plan_undo

        return plan_undo(self.answers, self.addresses, self.resolve)

    def apply(
        self, plan: DnsPlan, *, replace: bool = False, wait: float | None = None
    ) -> DnsReport:
        """Apply a plan and wait until the zone's name servers serve the changes.

        Args:
            plan: The plan.
            replace: Whether to replace records that this deployment did not create.
            wait: Seconds to wait for the name servers; None for the default.

        Raises:
            MoorageError: Other records are in the way, or the provider refuses.
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
        """Ask the zone's name servers and this machine's resolver what the name resolves to.

        Raises:
            MoorageError: A server's host name has no address.
        """
        from moorage.dns.operations import check_dns

        return check_dns(self.answers, self.addresses)


@dataclass(frozen=True)
class NamePlan:
    """The DNS changes of an apply.

    Attributes:
        dns: The changes; None without a provider that can write.
        problem: Why the provider could not be queried.
    """

    dns: DnsPlan | None = None
    problem: MoorageError | None = None

    @property
    def has_changes(self) -> bool:
        """Whether an apply would change records."""
        return self.dns is not None and self.dns.has_changes

    @property
    def foreign(self) -> tuple[str, ...]:
        """The records not created by this deployment that an apply would replace, one a line."""
        foreign = self.dns.foreign if self.dns is not None else ()
        return tuple(line for each in foreign for line in each.lines())


@dataclass(frozen=True)
class NameOutcome:
    """The result of the DNS changes of an apply.

    Attributes:
        handover: What the name resolves to on this machine, and what it still needs.
        report: How the change of its records ended; None when there was none.
        problem: Why the records were not changed.
        was_left_out: Whether they were not changed because the checks were skipped.
    """

    handover: Handover
    report: DnsReport | None = None
    problem: MoorageError | None = None
    was_left_out: bool = False

    @property
    def is_good(self) -> bool:
        """Whether all planned records are served."""
        return self.problem is None and (self.report is None or not self.report.missing)


def plan_name(deployment: Deployment) -> NamePlan:
    """Return the DNS changes of an apply; none where the operator manages the records.

    Args:
        deployment: The deployment; its servers have been probed.
    """
    if deployment.answers.dns.provider == "manual":
        return NamePlan()
    try:
        return NamePlan(deployment.name.plan())
    except MoorageError as error:
        return NamePlan(problem=error)


def update_records(
    deployment: Deployment,
    plan: NamePlan,
    looked_up: Background[tuple[str, ...]] | None = None,
    certificate: bytes | None = None,
) -> NameOutcome:
    """Change the records as planned and wait until they are served. Blocks.

    Records of others are replaced: the operator saw them in the plan and confirmed it.

    Args:
        deployment: The deployment; its servers are verified.
        plan: The planned changes; without any, the name is only looked up.
        looked_up: A lookup started earlier by :func:`look_up`.
        certificate: The private CA's certificate, if known.
    """
    if not plan.has_changes:
        return NameOutcome(handover_of(deployment, looked_up, certificate))
    if deployment.cancel.is_set:
        return NameOutcome(handover_of(deployment, looked_up, certificate), was_left_out=True)
    assert plan.dns is not None
    emit = deployment.on_event
    emit(StepBegan(NAME_ROW, CHANGE_RECORDS))
    for change in plan.dns.changes:
        for line in change.diff:
            emit(LogLine(NAME_ROW, line))
    try:
        report = deployment.name.apply(plan.dns, replace=bool(plan.foreign))
    except MoorageError as error:
        emit(RunEnded(NAME_ROW, "", RunStatus.FAILED, str(error), code=error.code))
        return NameOutcome(handover_of(deployment, certificate=certificate), problem=error)
    for row in report.rows:
        emit(LogLine(NAME_ROW, f"{row.sign} {row.text}"))
    served = not report.missing
    message = "" if served else "not on all name servers yet"
    status = RunStatus.DONE if served else RunStatus.NOT_SERVED
    emit(RunEnded(NAME_ROW, "", status, message, code="" if served else "dns_not_served"))
    return NameOutcome(handover_of(deployment, certificate=certificate), report)


def look_up(deployment: Deployment) -> Background[tuple[str, ...]]:
    """Start looking the registry's name up on this machine.

    Args:
        deployment: The deployment.
    """
    from moorage.dns.local_resolver import resolve_locally

    return Background(partial(resolve_locally, deployment.answers.registry.domain))


def handover_of(
    deployment: Deployment,
    looked_up: Background[tuple[str, ...]] | None = None,
    certificate: bytes | None = None,
) -> Handover:
    """Return the handover, without waiting for a resolver that does not answer.

    Args:
        deployment: The deployment.
        looked_up: A lookup started earlier by :func:`look_up`.
        certificate: The private CA's certificate, if known.
    """
    from moorage.deploy.handover import handover

    found = (looked_up or look_up(deployment)).result(_LOOKED_UP_WITHIN) or ()
    return handover(deployment.answers, deployment.all_addresses, found, certificate)
