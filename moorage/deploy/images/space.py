"""The space that images take up, with what a collection frees, the trash, and how fast it grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.deploy.images.activity import Activity, read_activity
from moorage.deploy.images.read import ImagesRead, read_images
from moorage.deploy.images.rows import with_uses
from moorage.errors import MoorageError
from moorage.images.alive import Limits
from moorage.images.collection import NothingAliveError, plan_collection
from moorage.images.growth import Growth, growth_of
from moorage.images.space import Kind, Part, space_parts
from moorage.images.usage import Usage, measure
from moorage.units import size_text

if TYPE_CHECKING:
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.status.status import Status

_YEARS = 2 * 365.0
"""Days past which nobody plans for a full disk."""


@dataclass(frozen=True)
class Space:
    """The images of a deployment and the space they take up.

    Attributes:
        read: The images as they were read.
        usage: Their sizes, with last pushes and pulls.
        parts: The parts of the space.
        growth: How fast they grow; None if not known yet.
    """

    read: ImagesRead
    usage: Usage
    parts: tuple[Part, ...]
    growth: Growth | None = field(default=None)

    @property
    def growth_text(self) -> str:
        """The growth and when the disk will be full, as a sentence."""
        return growth_text(self.growth, self.read.free)


def read_space(deployment: Deployment) -> Space:
    """Read the images and measure the space they take up. Changes nothing. Blocks.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.

    Raises:
        MoorageError: The images cannot be read.
    """
    facts = deployment.probe_each()
    read = read_images(deployment, facts)
    activity = read_activity(deployment)
    usage = with_uses(measure(read.stored), activity)
    trash = trash_size(deployment, read)
    parts = space_parts(usage, collectable_size(read, activity), read.free, trash)
    return Space(read, usage, parts, growth_of(read.stored.tree, read.server_time))


def disk_parts(status: Status) -> tuple[Part, ...]:
    """Return the space on the servers' disks as far as it is known without reading the images.

    Args:
        status: The status of the deployment.
    """
    disks = [server.disk for server in status.servers if server.disk and server.is_deployed]
    if len(disks) != 1:
        return ()
    [disk] = disks
    used = Part(Kind.OWN, "used on the disk", max(disk.total - disk.free, 0))
    return (used, Part(Kind.FREE, "free", disk.free))


def collectable_size(read: ImagesRead, activity: Activity) -> int | None:
    """Return the bytes that a collection would free now; None if that is not known.

    Args:
        read: The images.
        activity: Their pushes and pulls, as far as they are known.
    """
    if read.bucket is not None:
        return None  # what its trash lists is still in place, so parts would overlap
    pulls = activity.pulls
    limits = Limits(read.server_time, known_since=pulls.known_since)
    try:
        return plan_collection(read.stored, limits, pulls.last).freed
    except NothingAliveError:
        return None


def trash_size(deployment: Deployment, read: ImagesRead) -> int | None:
    """Return the bytes in the trash; None if that is not known.

    Args:
        deployment: The deployment.
        read: Its images.
    """
    from moorage.deploy.images.run import read_trash_of

    if read.bucket is not None:
        return None
    try:
        return sum(max(each.size, 0) for each in read_trash_of(deployment, read))
    except MoorageError:
        return None


def growth_text(growth: Growth | None, free: int | None) -> str:
    """Return how fast images grow and when the disk will be full, as a sentence.

    Args:
        growth: The growth; None if not known yet.
        free: Free bytes on the disk; None for a bucket, or if not known.
    """
    return "".join(_growth_parts(growth, free))


def _growth_parts(growth: Growth | None, free: int | None) -> Iterator[str]:
    if growth is None:
        yield "Growth not known yet: it takes three days of pushes."
        return
    days = f"the last {growth.days} days"
    if growth.size <= 0:
        yield f"Nothing new was stored in {days}."
        return
    yield f"Growing by {size_text(growth.per_day)} a day over {days}"
    left = growth.days_until_full(free) if free is not None else None
    if left is None:
        yield "."
    elif left > _YEARS:
        yield "; the disk is not full for years at this rate."
    elif left < 1:
        yield "; the disk is full within a day at this rate."
    else:
        yield f"; the disk is full in {left:.0f} day{'s' if left >= 1.5 else ''} at this rate."
