"""Measure repositories and tags: each blob is counted once, wherever it is shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from moorage.images.alive import digest_it_is_about
from moorage.images.manifests import INDEXES, Manifest
from moorage.images.read import Stored
from moorage.images.tree import Repository


@dataclass(frozen=True)
class TagUsage:
    """A tag and its sizes.

    Attributes:
        repository: Its repository.
        name: The tag.
        digest: The manifest it names; empty if its link could not be read.
        platforms: Such as linux/amd64, of the manifests of an index.
        size: Bytes of everything it refers to that is stored.
        own_size: Bytes that nothing but this digest in this repository refers to.
        pushed: When it was last pushed, in seconds since 1970; None if not known.
        missing: The digests it refers to that are not stored, so that a pull fails.
        problem: Why it is not known what it refers to; empty if it is.
        about: For a signature or the like, the digest that its name says it is about; else empty.
        pushed_by: The user who pushed it last; empty if not known.
        pulled: When it was last pulled, by its name or its digest, in seconds since 1970; None if
            no pull is known.
        pulled_by: The user who pulled it last.
    """

    repository: str
    name: str
    digest: str
    platforms: tuple[str, ...]
    size: int
    own_size: int
    pushed: float | None
    missing: tuple[str, ...] = ()
    problem: str = ""
    about: str = ""
    pushed_by: str = ""
    pulled: float | None = None
    pulled_by: str = ""


@dataclass(frozen=True)
class RepositoryUsage:
    """A repository and its sizes.

    Attributes:
        name: Its name.
        tags: Its tags, by name.
        size: Bytes of everything that its tags refer to, and of what refers to that.
        own_size: Bytes of what no other repository's tags refer to.
        untagged: The number of its manifests that no tag leads to.
        pushed: When one of its tags was last pushed, in seconds since 1970; None if not known.
        pushed_by: The user who pushed that tag; empty if not known.
        pulled: When one of its images was last pulled, likewise; None if no pull is known.
        pulled_by: The user who pulled it.
    """

    name: str
    tags: tuple[TagUsage, ...]
    size: int
    own_size: int
    untagged: int
    pushed: float | None
    pushed_by: str = ""
    pulled: float | None = None
    pulled_by: str = ""


@dataclass(frozen=True)
class Usage:
    """The sizes of a registry's images.

    Attributes:
        repositories: By name.
        size: Bytes of everything that is stored.
        tagged_size: Bytes of what tags refer to, and of what refers to that.
        blobs: The number of blobs stored.
    """

    repositories: tuple[RepositoryUsage, ...]
    size: int
    tagged_size: int
    blobs: int

    @property
    def untagged_size(self) -> int:
        """Bytes of what no tag leads to."""
        return self.size - self.tagged_size

    def tags(self, repository: str) -> tuple[TagUsage, ...]:
        """Return the tags of a repository; none if there is no such repository.

        Args:
            repository: Its name.
        """
        found = self._by_name.get(repository)
        return found.tags if found is not None else ()

    @cached_property
    def _by_name(self) -> Mapping[str, RepositoryUsage]:
        return {each.name: each for each in self.repositories}


def measure(stored: Stored) -> Usage:
    """Return the sizes of a registry's images.

    Args:
        stored: The content of its storage.
    """
    return _Measuring(stored).usage()


def closure(manifests: Mapping[str, Manifest], digest: str) -> frozenset[str]:
    """Return the digests of a manifest and everything it refers to.

    Args:
        manifests: By digest.
        digest: The manifest's digest.
    """
    found, followed, waiting = {digest}, set[str](), [digest]
    while waiting:
        each = waiting.pop()
        manifest = manifests.get(each)
        if manifest is None or each in followed:
            continue
        followed.add(each)
        children = [child.digest for child in manifest.children]
        found.update(children, (part.digest for part in manifest.blobs))
        waiting += children
    return frozenset(found)


def missing_blobs(stored: Stored, digests: frozenset[str]) -> tuple[str, ...]:
    """Return which digests are not stored and should be: not what clients get from elsewhere.

    Args:
        stored: The content of the registry's storage.
        digests: A manifest's closure.
    """
    stored_blobs = stored.tree.blobs
    # A difference of sets would go through all blobs each time.
    missing = {each for each in digests if each not in stored_blobs}
    if missing:
        manifests = (stored.manifests[each] for each in digests if each in stored.manifests)
        missing -= {part.digest for each in manifests for part in each.layers if part.is_remote}
    return tuple(sorted(missing))


class _Measuring:
    """Counts, for each blob, the digests and repositories that refer to it."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._sizes = {digest: file.size for digest, file in stored.tree.blobs.items()}
        self._repositories = stored.tree.repositories
        self._manifests: Mapping[str, Manifest] = stored.manifests
        self._closures: dict[str, frozenset[str]] = {}
        self._by_digest: Counter[str] = Counter()
        self._by_repository: Counter[str] = Counter()

    def usage(self) -> Usage:
        referred = {}
        for name, repository in self._repositories.items():
            closures = [self._closure(digest) for digest in _tagged(repository)]
            for each in closures:
                self._by_digest.update(each)
            referred[name] = self._with_referrers(repository, set[str]().union(*closures))
            self._by_repository.update(referred[name])
        measured = [self._repository(name, referred[name]) for name in referred]
        return Usage(
            repositories=tuple(sorted(measured, key=lambda each: each.name)),
            size=sum(self._sizes.values()),
            tagged_size=self._size(self._by_repository),
            blobs=len(self._sizes),
        )

    def _repository(self, name: str, referred: set[str]) -> RepositoryUsage:
        repository = self._repositories[name]
        tags = tuple(self._tag(name, tag, repository) for tag in sorted(repository.tags))
        return RepositoryUsage(
            name=name,
            tags=tags,
            size=self._size(referred),
            own_size=self._size([each for each in referred if self._by_repository[each] == 1]),
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
            own_size=self._size([each for each in referred if self._by_digest[each] == 1]),
            pushed=tag.link.modified if tag.link is not None else None,
            missing=missing_blobs(self._stored, referred),
            problem=self._problem(tag.digest),
            about=digest_it_is_about(name),
        )

    def _problem(self, digest: str) -> str:
        if digest in self._manifests:
            return ""
        return self._stored.unreadable.get(digest) or "its link cannot be read"

    def _closure(self, digest: str) -> frozenset[str]:
        known = self._closures.get(digest)
        if known is None:
            known = self._closures[digest] = closure(self._manifests, digest)
        return known

    def _with_referrers(self, repository: Repository, referred: set[str]) -> set[str]:
        """Return digests and those of what is about them by its subject, and about that."""
        waiting = [
            (digest, manifest.subject)
            for digest in repository.manifests
            if (manifest := self._manifests.get(digest)) is not None and manifest.subject
        ]
        while found := [digest for digest, subject in waiting if subject in referred]:
            referred = referred.union(*map(self._closure, found))
            waiting = [each for each in waiting if each[0] not in referred]
        return referred

    def _size(self, digests: Iterable[str]) -> int:
        size_of = self._sizes.get
        return sum([size_of(each, 0) for each in digests])

    def _platforms(self, digest: str) -> tuple[str, ...]:
        manifest = self._manifests.get(digest)
        if manifest is None or manifest.media_type not in INDEXES:
            return ()
        named = (child.platform for child in manifest.children)
        # BuildKit lists attestations in the index, as manifests for an unknown platform.
        return tuple(dict.fromkeys(each for each in named if each and "unknown" not in each))


def _tagged(repository: Repository) -> set[str]:
    return {tag.digest for tag in repository.tags.values() if tag.digest}
