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


@dataclass(frozen=True)
class Reclaimable:
    """The space that can be freed.

    Attributes:
        collectable: Bytes that a collection moves to the trash now; None if not known.
        trash: Bytes that emptying the trash frees; None if not known.
        is_trash_stored: Whether what is in the trash counts as stored: in a bucket, the content
            of images stays in its place until the trash is emptied.
        kept_untagged: See :class:`moorage.images.collection.Collection`.
        kept_until: Likewise.
    """

    collectable: int | None = None
    trash: int | None = None
    is_trash_stored: bool = False
    kept_untagged: int = 0
    kept_until: float | None = None


def space_parts(usage: Usage, found: Reclaimable, free: int | None) -> tuple[Part, ...]:
    """Return the parts of the space, without those that are empty or not known.

    Args:
        usage: What the images take up.
        found: The part of it that can be freed.
        free: Free bytes on the disk; None if not known.
    """
    own = sum(repository.own_size for repository in usage.repositories)
    collectable, trash = found.collectable or 0, found.trash or 0
    dead = collectable + (trash if found.is_trash_stored else 0)
    parts = (
        Part(Kind.OWN, "in use", own),
        Part(Kind.SHARED, "shared", usage.tagged_size - own),
        Part(Kind.UNTAGGED, "untagged", max(usage.untagged_size - dead, 0)),
        Part(Kind.COLLECTABLE, "collectable", collectable),
        Part(Kind.TRASH, "in trash", trash),
        Part(Kind.FREE, "free", free or 0),
    )
    return tuple(part for part in parts if part.size > 0)
