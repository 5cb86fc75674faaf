"""A deployment's state in one line, and the last known state of all deployments."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.errors import ExitCode, MoorageError
from moorage.state import private_folder, write_private

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.answers.secrets import Secret
    from moorage.deploy.operations import OpenTransport
    from moorage.deploy.status.status import Status
    from moorage.errors import SecretName
    from moorage.servers.transport import Asker, Cancel, HostKey


class Health(StrEnum):
    """The state of a deployment.

    drifted: files were edited on a server; there are no other problems. attention: there are
    problems. not deployed: nothing is deployed on any of its servers. unknown: it cannot be read
    without asking the operator.
    """

    HEALTHY = "healthy"
    DRIFTED = "drifted"
    ATTENTION = "attention"
    NOT_DEPLOYED = "not deployed"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


_NEEDS_AN_ANSWER = {
    "sudo_refused", "sudo_password_missing", "sudo_password_wrong", "passphrase_wrong",
    "host_key_unknown", "login_refused",
}  # fmt: skip
"""Errors that the operator can solve by opening the deployment and answering a question."""


@dataclass(frozen=True)
class Overview:
    """The state of a deployment when it was last read.

    Attributes:
        health: Its state.
        detail: Why, in a few words.
        days_left: Of the certificate that expires first; None without one.
        at: When it was read, seconds since 1970.
    """

    health: Health
    detail: str = ""
    days_left: int | None = None
    at: float = field(default_factory=time.time)

    @property
    def text(self) -> str:
        """The state in words."""
        if self.health is Health.ATTENTION:
            parts = [f"needs attention: {self.detail}" if self.detail else "needs attention"]
        else:
            parts = [self.health.value, self.detail] if self.detail else [self.health.value]
        if self.days_left is not None:
            parts.append(f"certificate {self.days_left} days")
        return ", ".join(parts)


def overview_of(status: Status) -> Overview:
    """Return the state of a deployment in one line."""
    days = [each.certificate.days_left for each in status.servers if each.certificate]
    left = min(days, default=None)
    if status.unreached:
        names = ", ".join(error.server or "a server" for error in status.unreached)
        if all(error.code in _NEEDS_AN_ANSWER for error in status.unreached):
            return Overview(Health.UNKNOWN, f"{names}: a secret is needed", left)
        return Overview(Health.UNREACHABLE, names, left)
    drifted = sum(len(each.drifted) for each in status.servers)
    problems = [problem for each in status.servers for problem in each.problems]
    if (
        problems
        and all(problem.code == "not_deployed" for problem in problems)
        and not any(each.is_deployed for each in status.servers)
    ):
        return Overview(Health.NOT_DEPLOYED)
    if len(problems) > drifted:
        return Overview(Health.ATTENTION, problems[0].explain().rstrip("."), left)
    if drifted:
        return Overview(Health.DRIFTED, f"{drifted} file{'s' if drifted != 1 else ''}", left)
    return Overview(Health.HEALTHY, "", left)


class _NoOperator:
    """Refuses every question, for deployments that are read in the background."""

    def accept_host_key(self, key: HostKey) -> bool:
        """Trust no new key."""
        return False

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        """Know no secret."""
        return None


def look(
    answers: Answers,
    asker: Asker | None = None,
    open_transport: OpenTransport | None = None,
    cancel: Cancel | None = None,
) -> Status:
    """Read the status of a deployment over new connections. Blocks.

    Args:
        answers: The deployment.
        asker: Asks for host keys and secrets; None refuses every question.
        open_transport: Opens a connection; over SSH by default.
        cancel: Stops it early when set.
    """
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.status.status import read_status

    with Deployment(answers, asker or _NoOperator(), open_transport=open_transport) as deployment:
        if cancel is not None:
            deployment.cancel = cancel
        return read_status(deployment)


def look_in_background(
    path: Path, read_answers: Callable[[], Answers], open_transport: OpenTransport | None = None
) -> Overview:
    """Read a deployment's state without questions, and keep it for the next start. Blocks.

    Args:
        path: Its answers file or draft.
        read_answers: Reads the answers in it.
        open_transport: Opens a connection; over SSH by default.
    """
    try:
        overview = overview_of(look(read_answers(), None, open_transport))
    except MoorageError as error:
        is_unfinished = error.exit_code == ExitCode.USAGE
        overview = Overview(Health.UNKNOWN, "the answers are not finished" if is_unfinished else "")
    keep_overview(path, overview)
    return overview


def kept_overviews() -> dict[str, Overview]:
    """Return the last known state of every deployment, by path."""
    try:
        rows = json.loads(_file().read_text(encoding="utf-8"))
        return {
            path: Overview(**row | {"health": Health(row["health"])}) for path, row in rows.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


_lock = threading.Lock()


def keep_overview(path: Path, overview: Overview) -> None:
    """Store the state of a deployment.

    Args:
        path: Its answers file or draft.
        overview: Its state.
    """
    with _lock:
        known = kept_overviews() | {str(path): overview}
        kept = {each: asdict(seen) for each, seen in known.items() if Path(each).is_file()}
        write_private(_file(), json.dumps(kept, indent=1).encode())


def _file() -> Path:
    return private_folder() / "seen.json"
