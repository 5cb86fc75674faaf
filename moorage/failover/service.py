"""Install, remove and query the failover service on a machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from moorage.desired.render import render
from moorage.dns.records import Provider
from moorage.errors import MoorageError
from moorage.failover.bundle import bundle
from moorage.failover.watch import Task
from moorage.servers.transport import Cancel, Completed, Transport
from templates.load import shell_script

ACCOUNT = "moorage-failover"
CODE = "/usr/local/lib/moorage-failover"
ETC = "/etc/moorage-failover"
_TIMEOUT = 300
_NOT_INSTALLED = 3


@dataclass(frozen=True)
class ServiceStatus:
    """The status of the service.

    Attributes:
        state: systemd's state: active, failed and the like.
        known: The status from :meth:`moorage.failover.watch.Watch.as_json`; None before its first
            round.
    """

    state: str
    known: dict[str, Any] | None


def install(
    transport: Transport, task: Task, provider: Provider, cancel: Cancel | None = None
) -> ServiceStatus:
    """Install or upgrade the service on a machine and wait for its first round.

    Args:
        transport: The connection.
        task: The task.
        provider: The DNS provider, whose secrets are sent along.
        cancel: Stops waiting when set.

    Raises:
        MoorageError: The service does not start there; CannotConnect likewise.
    """
    unit = render("systemd/moorage-failover@.service.j2", etc=ETC, code=CODE, account=ACCOUNT)
    payload = f"install\n{task.name}\n".encode() + bundle(task, provider, unit)
    completed = _run(transport, payload, cancel)
    return ServiceStatus("active", _known(completed))


def uninstall(transport: Transport, name: str, cancel: Cancel | None = None) -> None:
    """Remove the service; the DNS records stay as they are.

    Args:
        transport: The connection.
        name: The registry's name.
        cancel: Stops waiting when set.

    Raises:
        MoorageError: It is not installed, or cannot be removed.
    """
    _run(transport, f"uninstall\n{name}\n".encode(), cancel)


def status(transport: Transport, name: str, cancel: Cancel | None = None) -> ServiceStatus:
    """Return the service's status.

    Args:
        transport: The connection.
        name: The registry's name.
        cancel: Stops waiting when set.

    Raises:
        MoorageError: It is not installed.
    """
    completed = _run(transport, f"status\n{name}\n".encode(), cancel)
    state = completed.stderr.decode("utf-8", "replace").strip() or "unknown"
    return ServiceStatus(state.splitlines()[-1], _known(completed))


def _run(transport: Transport, payload: bytes, cancel: Cancel | None) -> Completed:
    transport.connect()
    completed = transport.run(
        shell_script("failover.sh"),
        payload=payload,
        timeout=_TIMEOUT,
        deadline=2 * _TIMEOUT,
        cancel=cancel,
    )
    if completed.exit_status == 0:
        return completed
    output = completed.stderr.decode("utf-8", "replace").strip().splitlines()
    why = output[-1] if output else f"the script ended with status {completed.exit_status}"
    if completed.exit_status == _NOT_INSTALLED:
        raise MoorageError(
            "the failover service is not installed there.",
            advice="To install it, run 'moorage failover install FILE --on HOST'.",
            server=transport.server,
            code="not_installed",
        )
    raise MoorageError(
        f"the failover service could not be set up: {why}.",
        advice="Output on the machine: " + " / ".join(output[-6:-1]) if len(output) > 1 else "",
        server=transport.server,
        code="failover_failed",
    )


def _known(completed: Completed) -> dict[str, Any] | None:
    try:
        content = json.loads(completed.stdout)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
