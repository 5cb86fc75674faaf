"""Expectations of an apply: how long it takes, what it interrupts, what happens if it fails.

Pure. The consequences for users and clients are in :mod:`moorage.deploy.plan.consequences`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from moorage.deploy.plan.plan import WAIT_SECONDS, Kind, ServerPlan
from moorage.deploy.plan.timings import expected, steps_of
from moorage.rows import Level, Row

_AFTER_STAGING = {"switch", "check", "hooks-after", "record", "drain"}
"""Steps that a rolling rollout does on one server after the other."""
_FETCHES = {Kind.PACKAGE, Kind.IMAGE}


def expect(
    servers: Sequence[ServerPlan],
    order: str,
    known: Mapping[str, list[float]],
    others: Sequence[str] = (),
) -> tuple[Row, ...]:
    """Return what to expect of an apply; nothing if it changes nothing.

    The keys are stable: duration, waiting, interruption, failure and others.

    Args:
        servers: The plan of each server.
        order: ``rolling`` or ``all_at_once``.
        known: The seconds that steps took before; see :mod:`moorage.deploy.plan.timings`.
        others: The servers of the deployment that stay as they are.
    """
    changed = [server for server in servers if server.has_changes]
    if not changed:
        return ()
    return (
        Row("duration", "Takes", _duration(changed, order, known)),
        *_waiting(changed),
        *_interruptions(changed),
        Row("failure", "If it fails", _failure(changed, order)),
        *([Row("others", "Unchanged", ", ".join(others))] if others else []),
    )


def _duration(servers: Sequence[ServerPlan], order: str, known: Mapping[str, list[float]]) -> str:
    every = [expected(steps_of(server), known) for server in servers]
    if not all(every):
        fetches = any(change.kind in _FETCHES for server in servers for change in server.changes)
        return "usually 1 to 3 minutes" if fetches else "usually under a minute"
    staging = max(_total(each, each.keys() - _AFTER_STAGING) for each in every)
    switching = [_total(each, each.keys() & _AFTER_STAGING) for each in every]
    seconds = staging + (sum(switching) if order == "rolling" else max(switching))
    return f"about {_rounded(seconds)}, as earlier applies"


def _total(seconds: Mapping[str, float], steps: Iterable[str]) -> float:
    return sum(seconds[step] for step in steps)


def _rounded(seconds: float) -> str:
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} seconds"
    minutes = round(seconds / 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def _waiting(servers: Sequence[ServerPlan]) -> Iterable[Row]:
    waits = [server for server in servers if server.transfers_in_the_way]
    if waits:
        count = sum(server.transfers_in_the_way for server in waits)
        what = "1 transfer" if count == 1 else f"{count} transfers"
        text = f"up to {WAIT_SECONDS // 60} minutes for {what} on {_names(waits)} to end"
        yield Row("waiting", "Waits", text, Level.WARNING)


def _interruptions(servers: Sequence[ServerPlan]) -> Iterable[Row]:
    """Yield what stops working for a moment."""
    label = "Interrupts"
    restarted = [server for server in servers if server.restart_nginx and not server.is_new]
    replaced = [server for server in servers if server.takes_over_packaged_registry]
    if restarted:
        text = f"connections to {_names(restarted)}: nginx is restarted"
        yield Row("interruption", label, text, Level.WARNING)
    if replaced:
        text = f"the packaged registry on {_names(replaced)}, until this one has started"
        yield Row("interruption", label, text, Level.WARNING)
    if not restarted and not replaced:
        is_first = all(server.is_new for server in servers)
        text = "nothing" if is_first else "nothing: pushes and pulls in progress continue"
        yield Row("interruption", label, text)


def _failure(servers: Sequence[ServerPlan], order: str) -> str:
    installs = any(server.packages or server.package_version for server in servers)
    packages = "; installed packages stay" if installs else ""
    if len(servers) == 1:
        if servers[0].is_new:
            return f"the server is rolled back{packages}"
        return f"the server is rolled back and serves what it serves now{packages}"
    if order == "rolling":
        return f"the failed server is rolled back, and those after it are not switched{packages}"
    return f"before the switch, all servers are rolled back; later, only the failed one{packages}"


def _names(servers: Iterable[ServerPlan]) -> str:
    return ", ".join(server.server for server in servers)
