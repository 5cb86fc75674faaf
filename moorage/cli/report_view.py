"""The results of an apply and of its checks as text and as JSON values."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from moorage.cli.errors import guide
from moorage.cli.plan_view import Line
from moorage.cli.tables import STYLES, aligned, signed
from moorage.deploy.clients import CLIENTS
from moorage.deploy.run.report import ADVICE
from moorage.deploy.run.rows import report_rows
from moorage.rows import SIGNS

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.deploy.handover import Handover
    from moorage.deploy.run.report import ApplyReport
    from moorage.deploy.verify.verify import Verification
    from moorage.errors import MoorageError


def report_lines(report: ApplyReport, advice: Mapping[str, str] = ADVICE) -> Iterator[Line]:
    """Yield each server's result as text.

    Args:
        report: The report.
        advice: The advice, by code.
    """
    yield from aligned([signed(row) for row in report_rows(report)])
    for server in report.servers:
        for warning in server.warnings:
            yield (("! ", "yellow"), f"{server.server}: {warning}")
        if problem := server.problem(advice):
            yield (f"{server.server}: {guide(problem)}".rstrip(),)


def report_as_json(
    report: ApplyReport, advice: Mapping[str, str] = ADVICE
) -> list[dict[str, object]]:
    """Return each server's result as JSON values.

    Args:
        report: The report.
        advice: The advice, by code.
    """
    return [
        {
            "server": server.server,
            "status": server.status,
            **_failure(server.problem(advice), server.message),
            "step": server.step,
            "run": server.run_id,
            "warnings": list(server.warnings),
        }
        for server in report.servers
    ]


def verification_lines(verification: Verification) -> Iterator[Line]:
    """Yield the checks as a table.

    Args:
        verification: The checks.
    """
    yield from aligned(
        [
            (
                (SIGNS[check.status.level], STYLES[check.status.level]),
                check.server,
                f"{check.seconds:6.2f} s",
                check.name,
                check.detail,
            )
            for check in verification.grouped
        ]
    )
    if verification.not_checked:
        yield (("! ", "yellow"), _incomplete(verification))


def verification_as_json(verification: Verification | None) -> dict[str, object]:
    """Return the checks as JSON values.

    Args:
        verification: The checks; None if there were none.
    """
    if verification is None:
        return {"verification": None, "checks": None, "not_checked": None}
    checks = [
        {
            "server": check.server,
            "check": check.key,
            "name": check.name,
            "status": check.status,
            "detail": check.detail,
            **_failure(check.problem),
            "code": check.code or None,
            "seconds": round(check.seconds, 3),
        }
        for check in verification.checks
    ]
    return {
        "verification": verification.result,
        "checks": checks,
        "not_checked": list(verification.not_checked),
    }


def _incomplete(verification: Verification) -> str:
    start = "Verification incomplete. " if verification.is_good else ""
    return f"{start}Not checked: {verification.not_checked_in_words}."


def handover_lines(handover: Handover, file: Path) -> Iterator[Line]:
    """Yield the next steps after an apply.

    Args:
        handover: The next steps.
        file: The answers file.
    """
    if not handover.is_resolved:
        now = ", ".join(handover.resolves_to)
        state = f"resolves to {now}" if now else "does not resolve"
        if handover.no_records is not None:
            yield (f"DNS: the name {state}. {handover.no_records}",)
        else:
            yield (f"DNS: the name {state}. Create these records:",)
        for line in (line for each in handover.records for line in each.lines()):
            yield (f"  {line}",)
    if handover.docker_ca_file:
        place = str(handover.ca_file) if handover.ca_file else handover.ca_place
        yield (f"The private CA's certificate is {place}.",)
        yield (f"Docker needs it as {handover.docker_ca_file} on each client.",)
    yield ("Log in with:",)
    yield ((f"  {handover.login}", "bold"),)
    yield (f"The complete lines for a client, one of {', '.join(CLIENTS)}:",)
    yield ((f"  moorage clients {shlex.quote(str(file))} docker", "bold"),)


def _failure(problem: MoorageError | None, message: str = "") -> dict[str, object]:
    """Return the JSON values of a failure; code is null without one."""
    if problem is None:
        return {"code": None, "message": message, "advice": None, "fields": []}
    return {
        "code": problem.code,
        "message": problem.message,
        "advice": problem.advice or None,
        "fields": list(problem.fields),
    }


def handover_as_json(handover: Handover, *, serves: bool) -> dict[str, object]:
    """Return the next steps after an apply as JSON values.

    Args:
        handover: The next steps.
        serves: Whether a registry is running to log in to.
    """
    return {
        "registry": handover.registry,
        "login": handover.login if serves else None,
        "ca_file": str(handover.ca_file) if serves and handover.ca_file else None,
        "docker_ca_file": (serves and handover.docker_ca_file) or None,
        "dns": {
            "is_resolved": handover.is_resolved,
            "resolves_to": list(handover.resolves_to),
            "records": [
                {"name": each.name, "type": each.kind, "value": value}
                for each in handover.records
                for value in each.values
            ],
        },
    }
