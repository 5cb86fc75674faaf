"""Measure repositories and tags: each blob is counted once, wherever it is shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from moorage.images.manifests import INDEXES, Manifest
from moorage.images.read import Stored
from moorage.images.tree import Repository


@dataclass(frozen=True)
class TagUsage:
    """A tag and what it takes up.

    Attributes:
        repository: Its repository.
        name: The tag.
        digest: The manifest it names; empty if its link could not be read.
        platforms: Such as linux/amd64, of the manifests of an index.
        size: Bytes of everything it refers to that is stored.
        own_size: Bytes that nothing but this digest in this repository refers to.
        pushed: When it was last pushed, in seconds since 1970; None if not known.
        missing: The digests it refers to that are not stored, so that a pull fails.
        unreadable: Whether it is not known what it refers to.
    """

    repository: str
    name: str
    digest: str
    platforms: tuple[str, ...]
    size: int
    own_size: int
    pushed: float | None
    missing: tuple[str, ...] = ()
    unreadable: bool = False


@dataclass(frozen=True)
class RepositoryUsage:
    """A repository and what it takes up.

    Attributes:
        name: Its name.
        tags: Its tags, by name.
        size: Bytes of everything that its tags refer to.
        own_size: Bytes of what no other repository's tags refer to.
        untagged: The number of its manifests that no tag leads to.
        pushed: When one of its tags was last pushed, in seconds since 1970; None if not known.
    """

    name: str
    tags: tuple[TagUsage, ...]
    size: int
    own_size: int
    untagged: int
    pushed: float | None


@dataclass(frozen=True)
class Usage:
    """The sizes of a registry's images.

    Attributes:
        repositories: By name.
        size: Bytes of everything that is stored.
        tagged_size: Bytes of what tags refer to.
        blobs: The number of blobs stored.
    """

    repositories: tuple[RepositoryUsage, ...]
    size: int
    tagged_size: int
    blobs: int


def measure(stored: Stored) -> Usage:
    """Return what a registry's images take up.

    Args:
        stored: What it stores.
    """
    return _Measuring(stored).usage()


class _Measuring:
    """Counts, for each blob, the digests and repositories that refer to it."""

    def __init__(self, stored: Stored) -> None:
        self._blobs = stored.tree.blobs
        self._repositories = stored.tree.repositories
        self._manifests: Mapping[str, Manifest] = stored.manifests
        self._closures: dict[str, frozenset[str]] = {}
        self._by_digest: Counter[str] = Counter()
        self._by_repository: Counter[str] = Counter()

    def usage(self) -> Usage:
        for repository in self._repositories.values():
            for digest in _tagged(repository):
                self._by_digest.update(self._closure(digest))
            self._by_repository.update(self._referred_by(repository))
        measured = [self._repository(name, each) for name, each in self._repositories.items()]
        return Usage(
            repositories=tuple(sorted(measured, key=lambda each: each.name)),
            size=sum(file.size for file in self._blobs.values()),
            tagged_size=self._size(self._by_repository),
            blobs=len(self._blobs),
        )

    def _repository(self, name: str, repository: Repository) -> RepositoryUsage:
        tags = tuple(self._tag(name, tag, repository) for tag in sorted(repository.tags))
        referred = self._referred_by(repository)
        return RepositoryUsage(
            name=name,
            tags=tags,
            size=self._size(referred),
            own_size=self._size(each for each in referred if self._by_repository[each] == 1),
            untagged=len(repository.manifests.keys() - referred),
            pushed=max((tag.pushed for tag in tags if tag.pushed is not None), default=None),
        )

    def _tag(self, repository: str, name: str, links: Repository) -> TagUsage:
        tag = links.tags[name]
        referred = self._closure(tag.digest) if tag.digest else frozenset()
        return TagUsage(
            repository=repository,
            name=name,
            digest=tag.digest,
            platforms=self._platforms(tag.digest),
            size=self._size(referred),
            own_size=self._size(each for each in referred if self._by_digest[each] == 1),
            pushed=tag.link.modified if tag.link is not None else None,
            missing=tuple(sorted(self._missing(referred))),
            unreadable=tag.digest not in self._manifests,
        )

    def _referred_by(self, repository: Repository) -> set[str]:
        return set().union(*map(self._closure, _tagged(repository)))

    def _closure(self, digest: str) -> frozenset[str]:
        """Return the digests of a manifest and everything it refers to."""
        known = self._closures.get(digest)
        if known is None:
            found, followed, waiting = {digest}, set[str](), [digest]
            while waiting:
                each = waiting.pop()
                manifest = self._manifests.get(each)
                if manifest is None or each in followed:
                    continue
                followed.add(each)
                children = [child.digest for child in manifest.children]
                found.update(children, (part.digest for part in manifest.blobs))
                waiting += children
            known = self._closures[digest] = frozenset(found)
        return known

    def _size(self, digests: Iterator[str] | frozenset[str] | set[str] | Counter[str]) -> int:
        return sum(self._blobs[each].size for each in digests if each in self._blobs)

    def _missing(self, digests: frozenset[str]) -> Iterator[str]:
        remote = {
            part.digest
            for each in digests
            if (manifest := self._manifests.get(each)) is not None
            for part in manifest.layers
            if part.is_remote
        }
        return (each for each in digests if each not in self._blobs and each not in remote)

    def _platforms(self, digest: str) -> tuple[str, ...]:
        manifest = self._manifests.get(digest)
        if manifest is None or manifest.media_type not in INDEXES:
            return ()
        named = (child.platform for child in manifest.children)
        # Attestations of BuildKit stand in the index as manifests for an unknown platform.
        return tuple(dict.fromkeys(each for each in named if each and "unknown" not in each))


def _tagged(repository: Repository) -> set[str]:
    return {tag.digest for tag in repository.tags.values() if tag.digest}
