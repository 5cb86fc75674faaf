"""The result of an apply on each server as rows."""

from __future__ import annotations

from moorage.deploy.events import ending_in_words
from moorage.deploy.run.report import ApplyReport, ServerReport
from moorage.rows import Row
from moorage.servers.run_results import RunStatus


def report_rows(report: ApplyReport) -> list[Row]:
    """Return each server's result; the key is a :class:`moorage.servers.run_results.RunStatus`.

    Args:
        report: The report.
    """
    return [_server_row(server) for server in report.servers]


def result_text(server: ServerReport, *, was_stopped: bool = False) -> str:
    """Return how an apply ended on a server: ``failed while installing packages: disk full``.

    Args:
        server: The server's report.
        was_stopped: Whether the operator stopped the apply.
    """
    if server.is_good:
        return ending_in_words(server.status, "", server.message)
    if was_stopped and server.status is RunStatus.CANCELLED:
        during = ending_in_words("stopped", "" if server.step == "rollback" else server.step, "")
        return f"{during} and rolled back"
    return ending_in_words(server.status, server.step, server.message)


def _server_row(server: ServerReport) -> Row:
    return Row(server.status, server.server, result_text(server), server.status.level)
