"""Describes the outcome of an apply. Does not import Textual."""

from __future__ import annotations

from moorage.deploy.events import CheckStatus, ending_in_words
from moorage.deploy.operations import Outcome
from moorage.deploy.run.report import ServerReport
from moorage.deploy.run.rows import result_text
from moorage.servers.run_results import RunStatus
from tui.labels import describe_error, guide


def describe_server(server: ServerReport, *, was_stopped: bool) -> str:
    """Describe how an apply ended on a server.

    Args:
        server: The server's report.
        was_stopped: Whether the operator stopped the apply.
    """
    text = result_text(server, was_stopped=was_stopped)
    was_rolled_back = was_stopped and server.status is RunStatus.CANCELLED
    advice = guide(server.cause) if server.cause is not None and not was_rolled_back else ""
    return f"{text}. {advice}" if advice else text


def describe_rollback(outcome: Outcome) -> str:
    """Describe the servers after an apply was stopped and rolled back."""
    servers = outcome.report.servers if outcome.report else ()
    ran = "The old registry is still running." if outcome.ran_before else "Nothing is deployed."
    if any(each.status is RunStatus.DONE for each in servers):
        ran = "Servers that had finished keep the change."
    return f"{ran} Packages that were installed are kept."


def faults_of(outcome: Outcome) -> list[str]:
    """Return everything that went wrong, a line each."""
    lines = []
    for server in outcome.report.servers if outcome.report else ():
        if not server.is_good:
            how = describe_server(server, was_stopped=outcome.was_stopped)
            lines.append(f"{'○' if outcome.is_rolled_back else '✗'} {server.server}: {how}")
    for run in outcome.ended:
        if run.status is not RunStatus.DONE:
            lines.append(f"✗ {run.server}: {ending_in_words(run.status, '', run.message)}")
    for check in outcome.verification.checks if outcome.verification else ():
        if check.status is CheckStatus.BAD:
            detail = " ".join(check.detail.split())
            lines.append(f"✗ {check.server}: {check.name}: {detail}")
    if outcome.name is not None and not outcome.name.is_good:
        if (problem := outcome.name.problem) is not None:
            lines.append(f"✗ The DNS records were not changed: {describe_error(problem)}")
        elif outcome.name.report is not None:
            lines += [f"{row.sign} {row.text}" for row in outcome.name.report.rows]
    if outcome.is_rolled_back:
        lines.append(describe_rollback(outcome))
    return lines
