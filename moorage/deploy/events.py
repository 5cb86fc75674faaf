"""Events: the progress of connecting, planning and applying."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from moorage.rows import Level
from moorage.servers.run_results import RunStatus

STEPS: dict[str, str] = {
    "connect": "Connecting",
    "probe": "Reading the server",
    "upload": "Sending the files",
    "wait": "Waiting for transfers on the idle slot",
    "recheck": "Checking for changes since the plan",
    "back-up": "Backing up what will change",
    "hooks-before": "Running your hooks",
    "packages": "Installing packages",
    "account": "Creating the account",
    "image": "Fetching the image",
    "version": "Checking the registry's version",
    "registry": "Starting the registry on the idle slot",
    "prove": "Reading images with the new program",
    "certificate": "Requesting the certificate",
    "nginx-files": "Writing and testing nginx's files",
    "staged": "Ready to switch",
    "switch": "Switching nginx over",
    "check": "Checking the registry through nginx",
    "hooks-after": "Running your hooks",
    "record": "Recording the deployment",
    "drain": "Letting open transfers finish",
    "rollback": "Rolling back",
}
"""The steps of a run, in order, with their titles."""
_IMAGE_STEPS = {
    "images-mark": "Reading the images",
    "grace": "Waiting until pushes in progress have ended",
    "images-move": "Moving images to the trash",
    "images-check": "Checking that nothing moved is needed",
    "images-purge": "Emptying the trash",
    "images-restore": "Bringing images back from the trash",
}
"""The steps of a run that deletes, collects or restores images."""
_UNINSTALL_STEPS = {
    "stop": "Stopping the timers",
    "leave-nginx": "Removing the registry from nginx",
    "stop-registry": "Stopping the registry",
    "delete-images": "Deleting the images",
    "remove-files": "Removing files and units",
    "give-back": "Restoring services and packages",
}
"""The steps of a run that removes the registry."""
CHANGE_RECORDS = "records"
"""The step after all servers are done: the DNS records of the registry's name."""


def step_title(step: str) -> str:
    """Return a step's title.

    Args:
        step: Its name; returned as it is if unknown.
    """
    if step == CHANGE_RECORDS:
        return "Updating DNS records and waiting for the name servers"
    return {**STEPS, **_IMAGE_STEPS, **_UNINSTALL_STEPS}.get(step, step)


def ending_in_words(status: RunStatus | str, step: str, message: str) -> str:
    """Return a run's result for display: ``failed while installing packages: no space left``.

    Args:
        status: How it ended.
        step: The step it was in, a key of :data:`STEPS`; may be empty.
        message: Why; may be empty.
    """
    during = f" while {step_title(step).lower()}" if step else ""
    word = status.label if isinstance(status, RunStatus) else status
    return f"{word}{during}" + (f": {message}" if message else "")


@dataclass(frozen=True)
class Event:
    """Something that happened on a server.

    Attributes:
        server: The server's label.
        at: When, seconds since 1970 on the operator's clock.
    """

    server: str
    at: float = field(default_factory=time.time, kw_only=True)


@dataclass(frozen=True)
class StepBegan(Event):
    """A step began; ``step`` is a key of :data:`STEPS`, or :data:`CHANGE_RECORDS`."""

    step: str


@dataclass(frozen=True)
class LogLine(Event):
    """A line of the run's log, redacted, with control characters escaped."""

    text: str


@dataclass(frozen=True)
class Warned(Event):
    """A problem that does not stop the run; safe to display, as :class:`LogLine`."""

    text: str


@dataclass(frozen=True)
class WaitsUntil(Event):
    """The run waits.

    Attributes:
        until: Until when, in seconds since 1970 on the server's clock.
    """

    until: float


@dataclass(frozen=True)
class Staged(Event):
    """The server has everything prepared and waits for the others."""


@dataclass(frozen=True)
class Committed(Event):
    """The server has switched and waits to hear whether the others have."""


@dataclass(frozen=True)
class RunEnded(Event):
    """A run ended.

    Attributes:
        run_id: The run.
        status: How it ended.
        code: Why, as a code (see :mod:`moorage.servers.run_results`); empty when it is done.
        message: Why, unless it is done.
        step: The last step it began.
        warnings: Problems that did not stop the run.
    """

    run_id: str
    status: RunStatus
    message: str = ""
    step: str = ""
    code: str = ""
    warnings: tuple[str, ...] = ()


class CheckStatus(StrEnum):
    """The result of a check."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"

    @property
    def level(self) -> Level:
        """The level of its row."""
        return Level[self.name]


@dataclass(frozen=True)
class CheckEnded(Event):
    """A check of verify ended; see :class:`moorage.deploy.verify.verify.Check`."""

    key: str
    name: str
    status: CheckStatus
    detail: str


OnEvent = Callable[[Event], None]
"""A callback for events; called from several threads."""
