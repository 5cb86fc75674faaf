"""The space on the disk or in the bucket: for images, collectable, in the trash, free."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.images.strenum import StrEnum
from moorage.images.usage import Usage


class Kind(StrEnum):
    """A use of space."""

    OWN = "own"
    SHARED = "shared"
    UNTAGGED = "untagged"
    COLLECTABLE = "collectable"
    TRASH = "trash"
    FREE = "free"


@dataclass(frozen=True)
class Part:
    """A part of the space.

    Attributes:
        kind: Its use.
        label: The same in words.
        size: Bytes.
    """

    kind: Kind
    label: str
    size: int


def space_parts(
    usage: Usage, collectable: int | None, free: int | None, trash: int | None = None
) -> tuple[Part, ...]:
    """Return the parts of the space, without those that are empty or not known.

    Args:
        usage: What the images take up.
        collectable: Bytes that a collection frees now; None if not known.
        free: Free bytes on the disk, likewise.
        trash: Bytes in the trash, likewise.
    """
    own = sum(repository.own_size for repository in usage.repositories)
    rest = usage.untagged_size
    parts = (
        Part(Kind.OWN, "in use", own),
        Part(Kind.SHARED, "shared", usage.tagged_size - own),
        Part(Kind.UNTAGGED, "untagged", rest - min(rest, collectable or 0)),
        Part(Kind.COLLECTABLE, "collectable", collectable or 0),
        Part(Kind.TRASH, "in trash", trash or 0),
        Part(Kind.FREE, "free", free or 0),
    )
    return tuple(part for part in parts if part.size > 0)
