"""Check the registry's name in ``plan`` and ``apply`` while the servers are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.background import Background
from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.cli.plan_view import Line
    from moorage.cli.runner import Runner
    from moorage.deploy.name import NameOutcome, NamePlan
    from moorage.deploy.plan.plan import Plan
    from moorage.dns.findings import Finding
    from moorage.dns.operations import DnsCheck, DnsPlan

FINDINGS_TIMEOUT = 5.0
"""Seconds to wait for name servers after the servers have been read."""


@dataclass
class RegistryName:
    """The registry's name: planned changes of its records, and findings.

    Attributes:
        runner: The open deployment.
        findings: Problems with the name.
    """

    runner: Runner
    _check: Background[DnsCheck]
    _is_limited: bool = False
    findings: tuple[Finding, ...] = ()

    @classmethod
    def start_check(cls, runner: Runner, *, is_limited: bool) -> RegistryName:
        """Start to query name servers in the background.

        Args:
            runner: The open deployment.
            is_limited: Whether servers are left out, so that the records must not change.
        """
        from moorage.servers.connect import load

        load(runner.deployment.answers.servers)
        return cls(runner, Background(runner.deployment.name.check), is_limited)

    @property
    def has_changes(self) -> bool:
        """Whether an apply would change records."""
        return self._planned.has_changes

    @property
    def _planned(self) -> NamePlan:
        return self.runner.operations.name

    @property
    def problem(self) -> MoorageError | None:
        """The error of the provider, if it failed."""
        return self._planned.problem

    @property
    def dns(self) -> DnsPlan | None:
        """The planned changes; None without a provider that can write."""
        return self._planned.dns

    @property
    def _is_skipped(self) -> bool:
        provider = self.runner.deployment.answers.dns.provider
        return self._is_limited and provider != "manual"

    def collect_findings(self, plan: Plan) -> None:
        """Collect the findings, once the servers have been read.

        Args:
            plan: The plan, with the servers' facts.
        """
        deployment = self.runner.deployment
        check = self._check.result(FINDINGS_TIMEOUT)
        if check is None or not check.replies:
            return
        from moorage.deploy.plan.listen_addresses import serves_on
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
        self.findings = search.result(FINDINGS_TIMEOUT) or ()

    def check_can_change(self, *, yes: bool, replace: bool) -> None:
        """Check that the records can be changed, before any server is.

        Args:
            yes: Whether ``--yes`` rules out questions.
            replace: Whether ``--replace-records`` allows replacing foreign records.

        Raises:
            MoorageError: The provider failed, or foreign records would be replaced.
        """
        from moorage.cli.dns import confirm_replacement

        if self.problem is not None:
            raise self.problem
        if self.dns is None:
            return
        if not confirm_replacement(self.runner, self.dns, yes=yes, replace=replace):
            from moorage.dns.operations import foreign_records_error

            raise foreign_records_error(self.dns)

    def lines(self) -> Iterator[Line]:
        """Yield the planned changes and findings as text."""
        from moorage.cli.dns_view import dns_plan_lines, finding_lines

        if self.dns is not None:
            yield from dns_plan_lines(self.dns)
        elif self.problem is not None or self.findings or self._is_skipped:
            yield ((self.runner.deployment.answers.registry.domain, "bold"), ("  DNS", "dim"))
        if self.problem is not None:
            yield (("  problem: ", "bold red"), str(self.problem))
        if self._is_skipped:
            yield ("  not changed with --limit; 'moorage dns apply FILE' points it to all servers",)
        yield from finding_lines(self.findings)
        if self.dns or self.problem is not None or self.findings or self._is_skipped:
            yield ("",)

    def as_json(self) -> dict[str, object]:
        """Return the planned changes and findings as JSON values."""
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
    """Return the result of changing the records as text; empty without a change.

    Args:
        outcome: The result for the name, or None.
    """
    from moorage.cli.dns_view import dns_report_lines

    lines: list[Line] = []
    if outcome is not None and outcome.report is not None:
        lines = [("",), *dns_report_lines(outcome.report)]
    if outcome is not None and outcome.problem is not None:
        lines += [("",), (("DNS records not changed: ", "bold red"), str(outcome.problem))]
    return lines


def change_as_json(outcome: NameOutcome | None) -> dict[str, object]:
    """Return the result of changing the records as JSON values.

    Args:
        outcome: The result for the name, or None.
    """
    from moorage.cli.dns_view import dns_report_as_json
    from moorage.cli.errors import as_json

    if outcome is None or (outcome.report is None and outcome.problem is None):
        return {}
    return {
        "dns_change": dns_report_as_json(outcome.report) if outcome.report else None,
        "dns_problem": as_json(outcome.problem) if outcome.problem else None,
    }
