"""The content of a registry's trash, read from the output of `trash.sh`."""

from __future__ import annotations

import json
from dataclasses import dataclass

from moorage.images.sweep import Entry, State
from moorage.images.task import IN_TRASH


@dataclass(frozen=True)
class TrashedRun:
    """The part of a run's files that is still in the trash.

    Attributes:
        run: Its name.
        at: When, in seconds since 1970.
        is_complete: Whether it has ended; if not, the next run puts everything back.
        entries: The files and folders.
        kept_for: Seconds for which it can be restored.
        inside: The tags of repositories that were deleted entirely, as repository and tag.
    """

    run: str
    at: float
    is_complete: bool
    entries: tuple[Entry, ...]
    kept_for: float = IN_TRASH
    inside: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Bytes that emptying the trash frees."""
        return sum(entry.size for entry in self.entries)

    @property
    def kept_until(self) -> float:
        """The time from which a collection deletes it, in seconds since 1970."""
        return self.at + self.kept_for

    @property
    def blobs(self) -> int:
        """The number of blobs."""
        return sum(entry.is_content for entry in self.entries)

    @property
    def manifests(self) -> tuple[tuple[str, str], ...]:
        """The manifests, as repository and digest, without those of whole repositories."""
        return tuple(
            (entry.repository, entry.digest) for entry in self.entries if entry.is_manifest
        )

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """The tags, as repository and tag, with those of whole repositories."""
        deleted = ((entry.repository, entry.tag) for entry in self.entries if entry.tag)
        return (*deleted, *self.inside)

    @property
    def named_tags(self) -> tuple[tuple[str, str], ...]:
        """The tags, as repository and tag, without those of whole repositories."""
        inside = set(self.inside)
        return tuple(each for each in self.tags if each not in inside)

    @property
    def repositories(self) -> tuple[str, ...]:
        """The repositories that were deleted entirely."""
        return tuple(entry.repository for entry in self.entries if entry.is_repository)

    def has(self, repository: str, tag: str) -> bool:
        """Return whether a tag, or something of a repository, is in it.

        Args:
            repository: The repository.
            tag: The tag; empty for anything of the repository.
        """
        if tag:
            return (repository, tag) in self.tags
        return any(entry.repository == repository for entry in self.entries)


def read_trash(output: bytes, kept_for: float = IN_TRASH) -> tuple[TrashedRun, ...]:
    """Return what is in the trash, oldest first.

    Args:
        output: The output of `trash.sh`.
        kept_for: Seconds for which everything can be restored.

    Raises:
        ValueError: It was cut, or is none.
    """
    found = []
    lines = iter(output.decode("utf-8", "surrogateescape").splitlines())
    for line in lines:
        run, state, at = line.split("\t")
        there = [each.split("/") for each in next(lines, "").split()]
        left = {int(number) for number, *_ in there}
        listed = []
        for entry in lines:
            if not entry:
                break
            path, digest, size = json.loads(entry)
            listed.append(Entry(str(path), str(digest), int(size)))
        entries = tuple(each for number, each in enumerate(listed) if number in left)
        inside = sorted(
            (listed[int(number)].repository, tag)
            for number, *rest in there
            for tag in rest[1:]
            if int(number) < len(listed) and listed[int(number)].is_repository
        )
        if entries:
            is_complete = state == State.CHECKED
            found.append(TrashedRun(run, float(at), is_complete, entries, kept_for, tuple(inside)))
    return tuple(found)
