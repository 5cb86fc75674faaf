"""What all tests share: signals, garbage, and what the end of a run says of skipped ones."""

from __future__ import annotations

import gc
import signal

import pytest

NOT_TESTED = {
    "no lab: ": "NOT TESTED ON REAL SERVERS",
    "no registry 3: ": "NOT TESTED WITH REGISTRY 3",
}
"""How the reasons of tests begin that were skipped for want of something, and what that means."""


def pytest_configure() -> None:
    """Let tests press Ctrl-C.

    A shell that puts a job into the background has it ignore the signal, and so do the programs
    that tests start.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep those in one process that share what is made once for their module.

    All others are given out one by one (`--dist loadgroup`), those with servers first, so that no
    process is left with the slow ones at the end.
    """
    for item in items:
        fixtures = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
        if any(definitions[-1].scope == "module" for definitions in fixtures):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_finish() -> None:
    """Let the garbage collector look rarely, and never at what stays until the end.

    A wizard makes so many objects that looking for garbage among them took a fifth of its tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 5, 5)


@pytest.fixture(autouse=True)
def quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as fast as bcrypt can, but where the time it takes matters."""
    if request.node.get_closest_marker("slow_hashes") is None:
        monkeypatch.setattr("moorage.users.passwords.BCRYPT_COST", 4)


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
