"""DNS plans, reports, checks and findings as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from moorage.cli.errors import as_json, explain
from moorage.cli.plan_view import Line
from moorage.cli.tables import STYLES, aligned, signed

if TYPE_CHECKING:
    from moorage.dns.findings import Finding
    from moorage.dns.lookup import Reply
    from moorage.dns.operations import DnsCheck, DnsPlan, DnsReport
    from moorage.dns.records import RecordChange, RecordSet

_STYLES = {"+": "green", "-": "red"}


def dns_plan_lines(plan: DnsPlan) -> Iterator[Line]:
    """Yield a plan's changes, record by record.

    Args:
        plan: The plan.
    """
    yield ((plan.name, "bold"), (f"  DNS, {plan.provider.title}", "dim"))
    if not plan.changes:
        yield ("  nothing to change",)
        return
    for change in plan.changes:
        for line in change.diff:
            yield ((f"  {line}", _STYLES.get(line[0], "")),)
        if change.is_foreign:
            yield (
                ("  foreign: ", "bold yellow"),
                "this deployment did not create the record to be removed",
            )
    if not plan.can_write:
        yield ("  Create these records at your DNS provider.",)


def dns_plan_as_json(plan: DnsPlan) -> dict[str, object]:
    """Return a plan as JSON values.

    Args:
        plan: The plan.
    """
    return {
        "name": plan.name,
        "provider": plan.provider.title,
        "can_write": plan.can_write,
        "has_changes": bool(plan.changes),
        "changes": [_change(change) for change in plan.changes],
    }


def dns_report_lines(report: DnsReport) -> Iterator[Line]:
    """Yield the result of a change.

    Args:
        report: The report.
    """
    state = "changed" if report.changes else "up to date"
    yield ((report.name, "bold"), f"  {state}")
    for change in report.changes:
        for line in change.diff:
            yield ((f"  {line}", _STYLES.get(line[0], "")),)
    for row in report.rows:
        yield ((f"  {row.sign} ", STYLES[row.level]), row.text)


def dns_report_as_json(report: DnsReport) -> dict[str, object]:
    """Return the result of a change as JSON values.

    Args:
        report: The report.
    """
    return {
        "name": report.name,
        "changes": [_change(change) for change in report.changes],
        "is_served": report.is_served,
        "name_servers": [_reply(each) for each in report.replies],
        "note": report.note,
    }


def dns_check_lines(check: DnsCheck, findings: Sequence[Finding]) -> Iterator[Line]:
    """Yield the result of a check, with findings.

    Args:
        check: The name servers' replies.
        findings: The findings.
    """
    where = f"  zone {check.zone}" if check.zone else ""
    yield ((check.name, "bold"), (where, "dim"))
    yield ("  expected:",)
    for record_set in check.desired:
        for line in record_set.lines():
            yield (f"    {line}",)
    if check.problem:
        yield (("  problem: ", "bold red"), explain(check.problem))
    if check.replies:
        yield from aligned([signed(row) for row in check.rows], "  ")
    yield from finding_lines(findings)


def finding_lines(findings: Sequence[Finding]) -> Iterator[Line]:
    """Yield findings, one per line.

    Args:
        findings: The findings.
    """
    for finding in findings:
        yield (("  note: ", "bold yellow"), str(finding))


def dns_check_as_json(check: DnsCheck, findings: Sequence[Finding]) -> dict[str, object]:
    """Return the result of a check as JSON values.

    Args:
        check: The name servers' replies.
        findings: The findings.
    """
    return {
        "name": check.name,
        "zone": check.zone or None,
        "is_good": check.is_good,
        "wanted": [_set(each) for each in check.desired],
        "name_servers": [
            _reply(each) | {"is_right": check.is_right(each)} for each in check.replies
        ],
        "this_machine": list(check.local_addresses),
        "problem": as_json(check.problem) if check.problem else None,
        "findings": findings_as_json(findings),
    }


def findings_as_json(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Return findings as JSON values.

    Args:
        findings: The findings.
    """
    return [
        {"code": each.code, "message": each.message, "advice": each.advice} for each in findings
    ]


def _reply(reply: Reply) -> dict[str, object]:
    return {
        "name_server": reply.server.name,
        "address": reply.server.address,
        "records": [_set(each) for each in reply.records],
        "problem": reply.fault or None,
    }


def _change(change: RecordChange) -> dict[str, object]:
    return {
        "action": change.action,
        "before": _set(change.before) if change.before else None,
        "after": _set(change.after) if change.after else None,
        "is_foreign": change.is_foreign,
    }


def _set(records: RecordSet) -> dict[str, object]:
    return {
        "name": records.name,
        "type": records.kind,
        "values": list(records.values),
        "ttl": records.ttl,
        "has_health_checks": records.checked,
    }
