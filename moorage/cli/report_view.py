"""How an apply and a verification ended, as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from moorage.cli.errors import guide
from moorage.cli.plan_view import Line
from moorage.cli.progress import mark
from moorage.cli.tables import lined_up
from moorage.deploy.clients import trust_for_docker
from moorage.deploy.report import ADVICE

if TYPE_CHECKING:
    from moorage.deploy.handover import Handover
    from moorage.deploy.report import ApplyReport
    from moorage.deploy.verify import Verification
    from moorage.errors import MoorageError
    from moorage.servers.run_results import RunStatus


def report_lines(report: ApplyReport, advice: Mapping[str, str] = ADVICE) -> Iterator[Line]:
    """Yield how an apply ended on each server.

    Args:
        report: The report.
        advice: What to do next, by code.
    """
    rows = [
        (mark(server.status), server.server, _state(server.status, server.message, server.step))
        for server in report.servers
    ]
    yield from lined_up(rows)
    for server in report.servers:
        for warning in server.warnings:
            yield (("! ", "yellow"), f"{server.server}: {warning}")
        if problem := server.problem(advice):
            yield (f"{server.server}: {guide(problem)}".rstrip(),)


def report_as_json(
    report: ApplyReport, advice: Mapping[str, str] = ADVICE
) -> list[dict[str, object]]:
    """Return how an apply ended on each server, as JSON values.

    Args:
        report: The report.
        advice: What to do next, by code.
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
    """Yield the checks as a table with their figures.

    Args:
        verification: The checks.
    """
    yield from lined_up(
        [
            (
                mark(check.status),
                check.server,
                check.name,
                f"{check.seconds:6.2f} s",
                check.detail,
            )
            for check in verification.checks
        ]
    )


def verification_as_json(verification: Verification) -> list[dict[str, object]]:
    """Return the checks as JSON values.

    Args:
        verification: The checks.
    """
    return [
        {
            "server": check.server,
            "name": check.name,
            "status": check.status,
            "detail": check.detail,
            **_failure(check.problem),
            "seconds": round(check.seconds, 3),
        }
        for check in verification.checks
    ]


def handover_lines(handed: Handover) -> Iterator[Line]:
    """Yield what people need to know now.

    Args:
        handed: What they need to know.
    """
    if not handed.is_resolved:
        now = ", ".join(handed.resolves_to)
        state = f"resolves to {now} now" if now else "does not resolve now"
        if handed.no_records is not None:
            yield (f"DNS: the name {state}. {handed.no_records}",)
        else:
            yield (f"DNS: the name {state}. These records are needed:",)
        for line in (line for each in handed.records for line in each.lines()):
            yield (f"  {line}",)
    if handed.docker_ca_file:
        place = str(handed.ca_file) if handed.ca_file else handed.ca_place
        yield (f"The private CA's certificate is {place}.",)
        yield (f"Docker looks for it at {handed.docker_ca_file}, on each of its machines:",)
        for line in trust_for_docker(handed.registry, handed.ca_file or "ca.pem").splitlines():
            yield (f"  {line}",)
    yield ("Log in with:",)
    yield ((f"  {handed.login}", "bold"),)


def _failure(problem: MoorageError | None, message: str = "") -> dict[str, object]:
    """Return what went wrong, as every failure in JSON has it; no code where nothing did."""
    if problem is None:
        return {"code": None, "message": message, "advice": None, "fields": []}
    return {
        "code": problem.code,
        "message": problem.message,
        "advice": problem.advice or None,
        "fields": list(problem.fields),
    }


def handover_as_json(handed: Handover, *, serves: bool) -> dict[str, object]:
    """Return what people need to know now, as JSON values.

    Args:
        handed: What they need to know.
        serves: Whether there is a registry to log in to.
    """
    return {
        "registry": handed.registry,
        "login": handed.login if serves else None,
        "ca_file": str(handed.ca_file) if serves and handed.ca_file else None,
        "docker_ca_file": (serves and handed.docker_ca_file) or None,
        "dns": {
            "is_resolved": handed.is_resolved,
            "resolves_to": list(handed.resolves_to),
            "records": [
                {"name": each.name, "type": each.kind, "value": value}
                for each in handed.records
                for value in each.values
            ],
        },
    }


def _state(status: RunStatus, message: str, step: str) -> str:
    if status.is_good:
        return status.label
    during = f" at step {step}" if step else ""
    return f"{status.label}{during}: {message}" if message else f"{status.label}{during}"
