"""Uninstall servers that left a deployment, once clients no longer ask them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.deploy.events import LogLine
from moorage.deploy.lifecycle.uninstall import UninstallPlan, Wish, plan_uninstall, uninstall
from moorage.deploy.plan.plan import Kind
from moorage.deploy.record.deployment_json import as_applied
from moorage.deploy.run.report import ServerReport
from moorage.deploy.status.discovery import answers_for
from moorage.dns.local_resolver import resolve_locally
from moorage.errors import MoorageError, ServersFailed
from moorage.servers.run_results import RunStatus

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.name import NamePlan
    from moorage.deploy.plan.acceptance import Accepted
    from moorage.deploy.record.left_servers import LeftServer

UNKNOWN_TTL = 300
"""Seconds to wait for a record whose provider does not report its TTL."""

OpenDeployment = Callable[["Answers"], "Deployment"]
"""Opens a deployment of other servers, which asks the same operator."""


@dataclass(frozen=True)
class LeavingOutcome:
    """The result of uninstalling servers that left.

    Attributes:
        reports: One per server; it has failed if the server was not uninstalled.
        revision: The deployment's revision after the others' records no longer have them; 0 if
            these were not updated.
    """

    reports: tuple[ServerReport, ...] = ()
    revision: int = 0

    @property
    def is_good(self) -> bool:
        """Whether all of them are uninstalled."""
        return all(each.is_good for each in self.reports)


def uninstall_text(left: Sequence[LeftServer], name: NamePlan) -> str:
    """Return what an apply does to the servers that it uninstalls, for display.

    Args:
        left: The servers.
        name: The changes of the DNS records.
    """
    seconds = _ttl(name)
    when = f"{seconds} s after the DNS records have changed (TTL)" if seconds else "at the end"
    names = ", ".join(each.label for each in left)
    return f"The registry is removed {when} from: {names}. The images stay."


def uninstall_left(
    deployment: Deployment,
    left: Sequence[LeftServer],
    name: NamePlan,
    open_deployment: OpenDeployment,
    accepted: Accepted,
) -> LeavingOutcome:
    """Uninstall servers that left, and remove them from the other servers' records. Blocks.

    Waits first until no client has an address from before the DNS records were changed. A server
    that cannot be uninstalled stays in the records.

    Args:
        deployment: The deployment without them; it was applied.
        left: The servers.
        name: The changes of the DNS records that were made.
        open_deployment: Opens a deployment of one of them.
        accepted: The consequences that the operator accepted.
    """
    if seconds := _ttl(name):
        for each in left:
            text = f"uninstalled in {seconds} s, when clients no longer have its address (TTL)"
            deployment.on_event(LogLine(each.label, text))
        deployment.cancel.event.wait(seconds)
    reports = tuple(_uninstalled(deployment, each, open_deployment) for each in left)
    gone = [each.server for each in reports if each.is_good]
    return LeavingOutcome(reports, _forget(deployment, gone, accepted) if gone else 0)


def _ttl(name: NamePlan) -> int:
    """Return the seconds for which resolvers keep the records that were changed."""
    if name.dns is None or not name.dns.has_changes:
        return 0
    before = [each.before for each in name.dns.changes if each.before is not None]
    return max((UNKNOWN_TTL if each.ttl is None else each.ttl for each in before), default=0)


def _uninstalled(
    deployment: Deployment, left: LeftServer, open_deployment: OpenDeployment
) -> ServerReport:
    try:
        _check_not_asked(deployment, left)
        key = deployment.answers.servers[0].key
        domain = deployment.answers.registry.domain
        with open_deployment(answers_for([left.server.as_server(key)], domain)) as other:
            plan = plan_uninstall(other, Wish())
            for problem in plan.problems:
                raise problem
            if not plan.has_changes:
                return ServerReport(left.label, RunStatus.UNCHANGED)
            _check_is_other(deployment, plan)
            return uninstall(other, plan).servers[0]
    except MoorageError as failed:
        error = failed.errors[0] if isinstance(failed, ServersFailed) else failed
        text = f"not uninstalled: {error.message} {error.advice}".rstrip()
        return ServerReport(left.label, RunStatus.FAILED, text, code=error.code)


def _check_is_other(deployment: Deployment, plan: UninstallPlan) -> None:
    """Check that a server is one that left: its name comes from the other servers' records.

    Raises:
        MoorageError: It is a server of the deployment by another name.
    """
    hosts = {each.host for each in deployment.answers.servers}
    for server in plan.servers:
        record = as_applied(server.facts)
        if record is None or record.label not in hosts:
            continue
        raise MoorageError(
            f"it is {record.label}, which is in the answers.",
            advice="Uninstall it by itself if you mean it: moorage uninstall --server.",
            server=server.server,
            code="other_registry",
        )


def _check_not_asked(deployment: Deployment, left: LeftServer) -> None:
    """Check that the registry's name no longer resolves to a server.

    Raises:
        MoorageError: It does, or the operator has cancelled.
    """
    answers, label = deployment.answers, left.label
    if deployment.cancel.is_set:
        raise MoorageError("cancelled.", server=label, code="run_cancelled")
    if answers.dns.provider != "manual":
        if deployment.name.plan().has_changes:
            raise MoorageError(
                f"the records of {answers.registry.domain} were changed back meanwhile.",
                advice="If failover runs as a service, install it again: moorage failover install.",
                server=label,
                code="server_still_named",
            )
        return
    addresses = set(resolve_locally(left.server.address or label))
    if addresses & set(resolve_locally(answers.registry.domain)):
        raise MoorageError(
            f"{answers.registry.domain} still resolves to it.",
            advice="Change the record, wait for its TTL, and apply again.",
            server=label,
            code="server_still_named",
        )


def _forget(deployment: Deployment, gone: Sequence[str], accepted: Accepted) -> int:
    """Remove servers from the records of the deployment's servers; return its new revision."""
    try:
        plan = deployment.plan_from(deployment.probe(for_plan=True), reads_images=False, gone=gone)
        changes = [change for server in plan.servers for change in server.changes]
        if any(change.kind is not Kind.RECORD for change in changes):
            return 0
        return deployment.apply(plan, accepted).revision
    except MoorageError as error:
        deployment.on_event(LogLine(error.server or gone[0], error.message))
        return 0
