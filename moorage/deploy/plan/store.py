"""The image store; a missing or different disk is detected by the marker in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from moorage.answers.model import Answers, S3Storage
from moorage.deploy.record.deployment_json import as_applied, line_of, recorded_part
from moorage.servers.facts import Facts


@dataclass(frozen=True)
class Store:
    """The place where a registry stores its images: a folder on a server, or a bucket.

    Attributes:
        server: The server with the folder; empty for a bucket.
        folder: The folder; for a bucket, the prefix of its objects.
        bucket: The bucket; empty for a folder.
        endpoint: The store's URL; empty for Amazon.
    """

    server: str
    folder: str
    bucket: str = ""
    endpoint: str = ""

    def __str__(self) -> str:
        if not self.bucket:
            return f"{self.server}:{self.folder}"
        prefix = f", prefix {self.folder}" if self.folder else ""
        return f"the bucket {self.bucket} at {self.endpoint or 'Amazon S3'}{prefix}"


@dataclass(frozen=True)
class RecordedStore:
    """The image folder as the last run recorded it.

    Attributes:
        folder: The folder.
        marker: The content of its marker file.
        mount: Where its file system was mounted.
        source: What was mounted there.
    """

    folder: str
    marker: str
    mount: str
    source: str


def recorded_store(facts: Facts) -> RecordedStore | None:
    """Return the recorded image folder, or None."""
    noted = recorded_part(facts, "store")
    if not noted:
        return None
    folder, marker, mount, source = (
        line_of(noted.get(name)) for name in ("folder", "marker", "mount", "source")
    )
    return RecordedStore(folder, marker, mount, source)


def store_record(facts: Facts, marker: str) -> dict[str, str] | None:
    """Return the image folder's part of deployment.json; None without a folder.

    Args:
        facts: The server's facts before the run.
        marker: The content of the marker after the run.
    """
    there = facts.store
    if there is None:
        return None
    return {
        "folder": there.folder,
        "marker": marker,
        "mount": there.mount,
        "source": there.source,
    }


def store_id(answers: Answers, facts: Facts, new: str) -> str:
    """Return the current or new content of the image folder's marker; empty without a folder.

    Args:
        answers: What the operator decided.
        facts: What the probe read.
        new: The content for a folder without a marker.
    """
    if answers.storage.driver != "filesystem":
        return ""
    there = facts.store.marker if facts.store else ""
    return there or new


def uses_recorded_store(answers: Answers, facts: Facts) -> bool:
    """Return whether the answers keep the images where the last apply to a server had them.

    Args:
        answers: What the operator decided.
        facts: What the probe read.
    """
    applied = as_applied(facts)
    if applied is None:
        return False
    was, now = applied.answers.storage, answers.storage
    if was.driver != now.driver:
        return False
    if now.driver == "filesystem":
        return was.filesystem.path == now.filesystem.path
    return _place(was.s3) == _place(now.s3)


def _place(s3: S3Storage | None) -> tuple[str | None, ...]:
    return () if s3 is None else (s3.bucket, s3.regionendpoint, s3.rootdirectory)


def missing_store(facts: Facts) -> str:
    """Return how the image folder differs from the recorded one; empty when it does not."""
    recorded, there = recorded_store(facts), facts.store
    if recorded is None or there is None or recorded.folder != there.folder:
        return ""
    if there.marker == recorded.marker:
        return ""
    where = f"{recorded.source} mounted on {recorded.mount}"
    now = f"{there.source} mounted on {there.mount}"
    if there.marker:
        return f"{there.folder} contains different images: it was on {where}, now it is on {now}."
    if recorded.mount != there.mount:
        return (
            f"the image disk is missing: {there.folder} was on {where}, "
            f"and nothing is mounted on {recorded.mount} now."
        )
    return (
        f"{there.folder} has lost its images: the marker "
        f"{PurePosixPath(there.folder) / '.moorage-store'} is gone."
    )


def missing_images(facts: Facts) -> str:
    """Return why the recorded images are not there; empty if they are.

    Unlike :func:`missing_store`, this is also about a folder that the answers do not name.
    """
    recorded = recorded_store(facts)
    if recorded is None or facts.store is None or facts.store.folder == recorded.folder:
        return missing_store(facts)
    there = facts.images.get(recorded.folder)
    if there is None or there.marker == recorded.marker:
        return ""
    if there.marker:
        return f"{recorded.folder} contains different images than when it was deployed."
    where = f"{recorded.source} mounted on {recorded.mount}"
    return f"the image disk is missing: {recorded.folder} was on {where}."
