"""The space that images take up, with what a collection frees, the trash, and how fast it grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from moorage.deploy.images.activity import Activity, read_activity
from moorage.deploy.images.read import ImagesRead, read_images
from moorage.deploy.images.rows import kept_untagged_text, with_uses
from moorage.durations import seconds
from moorage.errors import MoorageError
from moorage.images.alive import Limits
from moorage.images.collection import NothingAliveError, untagged_blobs
from moorage.images.growth import Growth, growth_of
from moorage.images.space import Kind, Part, Reclaimable, space_parts
from moorage.images.usage import Usage, measure
from moorage.units import size_text

if TYPE_CHECKING:
    from moorage.answers.model_retention import Collect
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.status.status import Status
    from moorage.images.trash import TrashedRun

_YEARS = 2 * 365.0
"""Days past which nobody plans for a full disk."""


@dataclass(frozen=True)
class Space:
    """The images of a deployment and the space they take up.

    Attributes:
        read: The images as they were read.
        usage: Their sizes, with last pushes and pulls.
        parts: The parts of the space.
        reclaimable: The part of it that can be freed.
        growth: How fast they grow; None if not known yet.
    """

    read: ImagesRead
    usage: Usage
    parts: tuple[Part, ...]
    reclaimable: Reclaimable = field(default_factory=Reclaimable)
    growth: Growth | None = field(default=None)

    @property
    def text(self) -> str:
        """The growth and when the disk will be full; and how long untagged images are kept."""
        found = self.reclaimable
        kept = kept_untagged_text(found.kept_untagged, found.kept_until)
        return " ".join(filter(None, (growth_text(self.growth, self.read.free), kept)))


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
    found = read_reclaimable(deployment, read, activity)
    growth = growth_of(read.stored.tree, read.server_time)
    return Space(read, usage, space_parts(usage, found, read.free), found, growth)


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


def read_reclaimable(deployment: Deployment, read: ImagesRead, activity: Activity) -> Reclaimable:
    """Read the trash, and return the space that can be freed. Blocks.

    Args:
        deployment: The deployment.
        read: Its images.
        activity: Their pushes and pulls, as far as they are known.
    """
    from moorage.deploy.images.run import answers_for_images

    trash = read_trash_if_possible(deployment, read)
    settings = answers_for_images(deployment.answers, read.facts).collect
    return find_reclaimable(read, activity, trash, settings)


def find_reclaimable(
    read: ImagesRead, activity: Activity, trash: Sequence[TrashedRun] | None, settings: Collect
) -> Reclaimable:
    """Return the space that can be freed.

    Args:
        read: The images.
        activity: Their pushes and pulls, as far as they are known.
        trash: What is in the trash; None if that is not known.
        settings: What the answers say about collections.
    """
    from moorage.deploy.images.run import collection_of

    if trash is None and read.bucket is not None:
        return Reclaimable()  # what it lists is still in its place
    pulls = activity.pulls
    limits = Limits(
        read.server_time, seconds(settings.young), seconds(settings.untagged), pulls.known_since
    )
    found = Reclaimable(None, None if trash is None else sum(run.size for run in trash))
    if read.bucket is not None:
        listed = {entry.digest for run in trash or () for entry in run.entries if entry.is_content}
        untagged = untagged_blobs(read.stored)
        size = sum(untagged.get(digest, 0) for digest in listed)
        found = Reclaimable(None, size, is_trash_stored=True)
    try:
        plan = collection_of(read, limits, pulls, trash or ())
    except NothingAliveError:
        return found
    return replace(
        found, collectable=plan.freed, kept_untagged=plan.kept_untagged, kept_until=plan.kept_until
    )


def read_trash_if_possible(
    deployment: Deployment, read: ImagesRead
) -> tuple[TrashedRun, ...] | None:
    """Return what is in the trash; None if it cannot be read.

    Args:
        deployment: The deployment.
        read: Its images.
    """
    from moorage.deploy.images.run import read_trash_of

    try:
        return read_trash_of(deployment, read)
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
