"""What all tests share: what the end of a run says of those that were skipped."""

from __future__ import annotations

import pytest

NOT_TESTED = {
    "no lab: ": "NOT TESTED ON REAL SERVERS",
    "no registry 3: ": "NOT TESTED WITH REGISTRY 3",
}
"""How the reasons of tests begin that were skipped for want of something, and what that means."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested.

    This reads the reports: with several processes, the one that prints has collected nothing.
    """
    reasons = [
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    ]
    for beginning, title in NOT_TESTED.items():
        found = [reason for reason in reasons if reason.startswith(beginning)]
        if found:
            terminalreporter.section(title, sep="!", red=True, bold=True)
            why = found[0].removeprefix(beginning)
            terminalreporter.write_line(f"{len(found)} tests were skipped: {why}", red=True)
