"""The registry's name within ``plan`` and ``apply``, which is looked at while servers are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.background import Background
from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.cli.deployment import Engine
    from moorage.cli.plan_view import Line
    from moorage.deploy.name import NameOutcome, NamePlan
    from moorage.deploy.plan import Plan
    from moorage.dns.findings import Finding
    from moorage.dns.operations import DnsCheck, DnsPlan

FOUND_WITHIN = 5.0
"""Seconds name servers have after the servers were read; findings are not worth waiting longer."""


@dataclass
class NameWork:
    """What is to be done about the registry's name, and what is to be known about it.

    Attributes:
        engine: The open deployment.
        findings: What about the name will surprise somebody.
    """

    engine: Engine
    _check: Background[DnsCheck]
    _is_limited: bool = False
    findings: tuple[Finding, ...] = ()

    @classmethod
    def begin(cls, engine: Engine, *, is_limited: bool) -> NameWork:
        """Begin to ask name servers.

        Args:
            engine: The open deployment.
            is_limited: Whether servers are left out: then the name is left alone.
        """
        from moorage.servers.connect import load

        load(engine.deployment.answers.servers)
        return cls(engine, Background(engine.deployment.name.check), is_limited)

    @property
    def has_changes(self) -> bool:
        """Whether an apply would change records."""
        return self._planned.has_changes

    @property
    def _planned(self) -> NamePlan:
        return self.engine.operations.name

    @property
    def problem(self) -> MoorageError | None:
        """Why the provider could not be asked."""
        return self._planned.problem

    @property
    def dns(self) -> DnsPlan | None:
        """What would change at the name; None without a provider that can write."""
        return self._planned.dns

    @property
    def _is_left_alone(self) -> bool:
        provider = self.engine.deployment.answers.dns.provider
        return self._is_limited and provider != "manual"

    def find(self, plan: Plan) -> None:
        """Find out what about the name will surprise somebody, after the servers were read.

        Args:
            plan: What was read.
        """
        deployment = self.engine.deployment
        check = self._check.result(FOUND_WITHIN)
        if check is None or not check.replies:
            return
        from moorage.deploy.listen_addresses import serves_on
        from moorage.dns.caa import issuer_identity
        from moorage.dns.findings import find

        port = deployment.answers.registry.port
        every = [server.facts for server in plan.servers]
        read = [address for facts in every for address in facts.addresses6]
        serving = [
            address for facts in every if serves_on(facts, port) for address in facts.addresses6
        ]
        search = Background(
            lambda: find(
                check,
                port=port,
                authority=issuer_identity(deployment.answers),
                addresses6=None if self._is_limited else read,
                serving6=serving,
                cancelled=lambda: deployment.cancel.is_set,
            )
        )
        self.findings = search.result(FOUND_WITHIN) or ()

    def may_begin(self, *, yes: bool, replace: bool) -> None:
        """Stop before any server is changed, if the name could not be changed in the end.

        Args:
            yes: Whether nothing is to be asked.
            replace: Whether records of somebody else's may be replaced.

        Raises:
            MoorageError: The provider refuses, or records of somebody else's are in the way.
        """
        from moorage.cli.dns import may_replace

        if self.problem is not None:
            raise self.problem
        if self.dns is None:
            return
        if not may_replace(self.engine, self.dns, yes=yes, replace=replace):
            from moorage.dns.operations import foreign_records_error

            raise foreign_records_error(self.dns)

    def lines(self) -> Iterator[Line]:
        """Yield what would change, and what is to be known."""
        from moorage.cli.dns_view import dns_plan_lines, finding_lines

        if self.dns is not None:
            yield from dns_plan_lines(self.dns)
        elif self.problem is not None or self.findings or self._is_left_alone:
            yield ((self.engine.deployment.answers.registry.domain, "bold"), ("  DNS", "dim"))
        if self.problem is not None:
            yield (("  problem: ", "bold red"), str(self.problem))
        if self._is_left_alone:
            yield ("  left alone with --limit; 'moorage dns apply FILE' leads it to all servers",)
        yield from finding_lines(self.findings)
        if self.dns or self.problem is not None or self.findings or self._is_left_alone:
            yield ("",)

    def as_json(self) -> dict[str, object]:
        """Return what would change, and what is to be known, as JSON values."""
        from moorage.cli.dns_view import dns_plan_as_json, findings_as_json
        from moorage.cli.errors import as_json

        return {
            "dns": {
                "plan": dns_plan_as_json(self.dns) if self.dns else None,
                "problem": as_json(self.problem) if self.problem else None,
                "findings": findings_as_json(self.findings),
            }
        }


def change_lines(outcome: NameOutcome | None) -> list[Line]:
    """Return how a change of the records ended; nothing when there was none.

    Args:
        outcome: How the name is in the end; None when it was not looked at.
    """
    from moorage.cli.dns_view import dns_report_lines

    lines: list[Line] = []
    if outcome is not None and outcome.report is not None:
        lines = [("",), *dns_report_lines(outcome.report)]
    if outcome is not None and outcome.problem is not None:
        lines += [("",), (("The records were not changed: ", "bold red"), str(outcome.problem))]
    return lines


def change_as_json(outcome: NameOutcome | None) -> dict[str, object]:
    """Return the same as JSON values.

    Args:
        outcome: How the name is in the end; None when it was not looked at.
    """
    from moorage.cli.dns_view import dns_report_as_json
    from moorage.cli.errors import as_json

    if outcome is None or (outcome.report is None and outcome.problem is None):
        return {}
    return {
        "dns_change": dns_report_as_json(outcome.report) if outcome.report else None,
        "dns_problem": as_json(outcome.problem) if outcome.problem else None,
    }
