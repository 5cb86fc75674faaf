"""The result of an apply on each server as rows."""

from __future__ import annotations

from moorage.deploy.events import ending_in_words
from moorage.deploy.report import ApplyReport, ServerReport
from moorage.rows import Level, Row


def report_rows(report: ApplyReport) -> list[Row]:
    """Return each server's result; the key is a :class:`moorage.servers.run_results.RunStatus`.

    Args:
        report: The report.
    """
    return [_server_row(server) for server in report.servers]


def _server_row(server: ServerReport) -> Row:
    if server.is_good:
        return Row(server.status, server.server, server.status.label, Level.GOOD)
    text = ending_in_words(server.status, server.step, server.message)
    return Row(server.status, server.server, text, Level.BAD)
