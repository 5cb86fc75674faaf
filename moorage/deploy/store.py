"""The folder of images: whether it is the one that was recorded, or an empty mount point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from moorage.answers.model import Answers
from moorage.deploy.deployment_json import line_of, recorded_part
from moorage.servers.facts import Facts


@dataclass(frozen=True)
class RecordedStore:
    """The folder of images as the last run left it.

    Attributes:
        folder: The folder.
        marker: What the marker in it says.
        mount: Where its file system was mounted.
        source: What was mounted there.
    """

    folder: str
    marker: str
    mount: str
    source: str


def recorded_store(facts: Facts) -> RecordedStore | None:
    """Return the folder of images that was recorded; None where none was."""
    noted = recorded_part(facts, "store")
    if not noted:
        return None
    folder, marker, mount, source = (
        line_of(noted.get(name)) for name in ("folder", "marker", "mount", "source")
    )
    return RecordedStore(folder, marker, mount, source)


def store_record(facts: Facts, marker: str) -> dict[str, str] | None:
    """Return what deployment.json says of the folder of images; None without one.

    Args:
        facts: What the probe read before the run.
        marker: What the marker says after the run.
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
    """Return what the marker in the images' folder says, or is to say; empty without a folder.

    Args:
        answers: What the operator decided.
        facts: What the probe read.
        new: For a folder that has none yet.
    """
    if answers.storage.driver != "filesystem":
        return ""
    there = facts.store.marker if facts.store else ""
    return there or new


def missing_store(facts: Facts) -> str:
    """Return why the folder of images is not the one that was recorded, or empty when it is."""
    recorded, there = recorded_store(facts), facts.store
    if recorded is None or there is None or recorded.folder != there.folder:
        return ""
    if there.marker == recorded.marker:
        return ""
    where = f"{recorded.source} mounted on {recorded.mount}"
    now = f"{there.source} mounted on {there.mount}"
    if there.marker:
        return f"{there.folder} holds other images than it did: it was on {where}, it is on {now}."
    if recorded.mount != there.mount:
        return (
            f"the disk of the images is missing: {there.folder} was on {where}, "
            f"and nothing is mounted on {recorded.mount} now."
        )
    return (
        f"{there.folder} has lost its images: the marker "
        f"{PurePosixPath(there.folder) / '.moorage-store'} is gone."
    )
