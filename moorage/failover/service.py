"""Puts the watch on a machine as a service, takes it away, and asks how it is."""

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
    """How a service is.

    Attributes:
        state: As systemd says: active, failed and the like.
        known: What the watch knows, as :meth:`moorage.failover.watch.Watch.as_json` tells it; None
            before its first round.
    """

    state: str
    known: dict[str, Any] | None


def install(
    transport: Transport, task: Task, provider: Provider, cancel: Cancel | None = None
) -> ServiceStatus:
    """Put the service on a machine, or a new version of it, and wait for its first round.

    Args:
        transport: The connection.
        task: What is watched.
        provider: Who holds the record; its secrets go with it.
        cancel: Stops waiting when set.

    Raises:
        MoorageError: It does not come up there; CannotConnect likewise.
    """
    unit = render("systemd/moorage-failover@.service.j2", etc=ETC, code=CODE, account=ACCOUNT)
    payload = f"install\n{task.name}\n".encode() + bundle(task, provider, unit)
    completed = _run(transport, payload, cancel)
    return ServiceStatus("active", _known(completed))


def uninstall(transport: Transport, name: str, cancel: Cancel | None = None) -> None:
    """Take the service away; the record stays as it is.

    Args:
        transport: The connection.
        name: The registry's name.
        cancel: Stops waiting when set.

    Raises:
        MoorageError: It is not there, or cannot be taken away.
    """
    _run(transport, f"uninstall\n{name}\n".encode(), cancel)


def status(transport: Transport, name: str, cancel: Cancel | None = None) -> ServiceStatus:
    """Ask how the service is.

    Args:
        transport: The connection.
        name: The registry's name.
        cancel: Stops waiting when set.

    Raises:
        MoorageError: It is not there.
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
    said = completed.stderr.decode("utf-8", "replace").strip().splitlines()
    why = said[-1] if said else f"the script ended with status {completed.exit_status}"
    if completed.exit_status == _NOT_INSTALLED:
        raise MoorageError(
            "the failover service is not installed there.",
            advice="'moorage failover install FILE --on HOST' does that.",
            server=transport.server,
            code="not_installed",
        )
    raise MoorageError(
        f"the failover service cannot be put in order there: {why}.",
        advice="What the machine said: " + " / ".join(said[-6:-1]) if len(said) > 1 else "",
        server=transport.server,
        code="failover_failed",
    )


def _known(completed: Completed) -> dict[str, Any] | None:
    try:
        content = json.loads(completed.stdout)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
