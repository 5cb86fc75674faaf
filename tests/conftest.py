"""Shared setup of all tests: signals, garbage collection, and the summary of skipped tests."""

from __future__ import annotations

import gc
import os
import signal
from collections import Counter

import pytest
from no_name_server import know_no_name

NOT_TESTED = {
    "no lab: ": "NOT TESTED ON REAL SERVERS",
    "no registry 3: ": "NOT TESTED WITH REGISTRY 3",
}
"""Beginnings of skip reasons, and the warning each one causes in the summary."""


def pytest_configure() -> None:
    """Restore signals that tests send, and ask name servers again sooner.

    Shells start background jobs with SIGINT ignored, and nohup ignores SIGHUP; the programs that
    tests start inherit that.

    Where a firewall tracks connections, one of two questions at once from one port can get lost,
    and the C library asks again only after five seconds.
    """
    os.environ.setdefault("RES_OPTIONS", "single-request timeout:1 attempts:5")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests that share a module's fixtures in one process.

    All others are distributed one by one (`--dist loadgroup`), those with servers first, so that
    the slow ones are not left to the end.
    """
    for item in items:
        fixtures = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
        if any(definitions[-1].scope == "module" for definitions in fixtures):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_finish() -> None:
    """Run the garbage collector rarely, and never on objects that stay until the end.

    The wizard creates so many objects that collecting garbage took a fifth of its tests' time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 5, 5)


@pytest.fixture(autouse=True)
def quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with bcrypt's lowest cost, except where its time matters."""
    if request.node.get_closest_marker("slow_hashes") is None:
        monkeypatch.setattr("moorage.users.passwords.BCRYPT_COST", 4)


@pytest.fixture(autouse=True)
def no_name_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask no real name server, except in tests with real servers."""
    if request.node.get_closest_marker("lab") is None:
        know_no_name(monkeypatch)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Warn about what was not tested.

    This uses the reports, because with several processes the one that prints collects no tests.
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
            for reason, count in Counter(found).items():
                why = reason.removeprefix(beginning)
                terminalreporter.write_line(f"{count} tests were skipped: {why}", red=True)
