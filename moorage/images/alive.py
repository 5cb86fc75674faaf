"""Find which of a registry's files are alive: reachable from a tag, or too young to tell.

Everything else can go, and only that. Where it is not known what a manifest refers to, everything
that its repository has counts as alive.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from moorage.images.manifests import IMAGES, INDEXES, Descriptor, Manifest
from moorage.images.tree import File, Tree

YOUNG = 24 * 3600.0
"""Seconds during which whatever was written is alive: a client uploads layers before the manifest
that refers to them."""
UNTAGGED = 30 * 24 * 3600.0
"""Seconds during which a manifest without a tag is alive after a pull by its digest."""
CLOCK_STEP = 2.0
"""Seconds by which times can be wrong: the kernel's tick, and clocks that were set."""

_ABOUT = re.compile(
    r"(?P<algorithm>sha256|sha512)-(?P<value>[0-9a-f]{64,128})(?:\.[A-Za-z0-9_-]+)?"
)
"""Tags that are about a manifest, where a registry has no referrers API: the image's digest, and
for cosign what it is (.sig, .att, .sbom)."""


@dataclass(frozen=True)
class Limits:
    """Until when something counts as alive without a tag.

    Attributes:
        now: The time at which the listing began, in seconds since 1970.
        young: Seconds during which whatever was written is alive.
        untagged: Seconds during which a manifest without a tag is alive after a pull.
        known_since: Since when all pulls are known, in seconds since 1970; None if they are not.
            Until that is longer ago than `untagged`, every manifest without a tag is alive.
        takes_untagged: Whether manifests without a tag can go all the same, on the operator's word.
    """

    now: float
    young: float = YOUNG
    untagged: float = UNTAGGED
    known_since: float | None = None
    takes_untagged: bool = False

    def is_young(self, changed: float) -> bool:
        """Return whether a file is too young to go.

        Args:
            changed: When its inode last changed.
        """
        return changed >= self.now - self.young - CLOCK_STEP

    @property
    def knows_pulls(self) -> bool:
        """Whether pulls are known for all of the time that matters."""
        return self.pulls_known_at is not None and self.pulls_known_at <= self.now

    @property
    def pulls_known_at(self) -> float | None:
        """The time from which all pulls that matter are known, in seconds since 1970."""
        return None if self.known_since is None else self.known_since + self.untagged


@dataclass
class AliveInRepository:
    """The live content of one repository.

    Attributes:
        manifests: The digests of its live manifests.
        blobs: The digests of the layers and configurations that its live manifests refer to, and
            of those it received lately.
        tags: Its live tags.
        unreadable: The digests of manifests of which it is not known what they refer to. If there
            are any, everything in the repository is alive.
        untagged: Manifests without a tag that are alive only because pulls of them are not known.
    """

    manifests: set[str] = field(default_factory=set)
    blobs: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    untagged: set[str] = field(default_factory=set)


@dataclass
class Alive:
    """The live content of a registry.

    Attributes:
        repositories: By name.
        blobs: The digests of all live content, manifests among it.
    """

    repositories: dict[str, AliveInRepository] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)

    def dead_blobs(self, tree: Tree) -> dict[str, int]:
        """Return the bytes of all content that nothing alive refers to, by digest.

        Args:
            tree: The tree it was marked in.
        """
        return {
            digest: file.size for digest, file in tree.blobs.items() if digest not in self.blobs
        }


def find_alive(
    tree: Tree,
    manifests: Mapping[str, Manifest],
    limits: Limits,
    pulled: Mapping[tuple[str, str], float] | None = None,
    *,
    without: Iterable[tuple[str, str]] = (),
) -> Alive:
    """Return what is alive.

    Args:
        tree: All files.
        manifests: By digest, the manifests that could be read.
        limits: Until when something counts as alive without a tag.
        pulled: By repository and digest, when a manifest was last pulled by its digest, in seconds
            since 1970.
        without: Tags that count as deleted, as repository and tag.
    """
    marking = _Marking(tree, manifests, limits, pulled or {}, frozenset(without))
    marking.mark_from_tags()
    marking.mark_untagged()
    return marking.alive()


class _Marking:
    """Finds what is alive, repository by repository, until nothing more is found."""

    def __init__(
        self,
        tree: Tree,
        manifests: Mapping[str, Manifest],
        limits: Limits,
        pulled: Mapping[tuple[str, str], float],
        removed: frozenset[tuple[str, str]],
    ) -> None:
        self._tree = tree
        self._manifests = manifests
        self._limits = limits
        self._pulled = pulled
        self._removed = removed
        self._found = {name: AliveInRepository() for name in tree.repositories}
        self._waiting: list[tuple[str, str]] = []
        self._followed: set[str] = set()
        """Live manifests of which what is about them was looked for."""
        self._tags_about: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._referrers: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, repository in tree.repositories.items():
            for digest in repository.manifests:
                manifest = manifests.get(digest)
                if manifest is not None and manifest.subject:
                    self._referrers[manifest.subject].append((name, digest))

    def mark_from_tags(self) -> None:
        """Mark what tags lead to, and what is young."""
        stored = self._tree.manifests()
        for name, repository in self._tree.repositories.items():
            for tag, entry in repository.tags.items():
                about = digest_it_is_about(tag)
                if (name, tag) in self._removed:
                    continue
                if about in stored and not self._is_young(entry.link):
                    self._tags_about[about].append((name, tag))
                else:
                    self._keep_tag(name, tag)
            for digest, link in repository.manifests.items():
                if digest not in self._manifests:
                    # It may be about a live one, so it may be alive itself.
                    self._mark_everything(name, digest)
                if self._is_young(link):
                    self._waiting.append((name, digest))
            self._found[name].blobs |= {
                digest for digest, link in repository.blobs.items() if self._is_young(link)
            }
        self._follow()

    def mark_untagged(self) -> None:
        """Mark what is alive without a tag, because it was pulled or may have been."""
        if self._limits.takes_untagged:
            return
        for name, repository in self._tree.repositories.items():
            found = self._found[name]
            for digest in repository.manifests:
                if digest in found.manifests:
                    continue
                if not self._limits.knows_pulls:
                    found.untagged.add(digest)
                elif not self._was_pulled(name, digest):
                    continue
                self._waiting.append((name, digest))
        self._follow()

    def alive(self) -> Alive:
        """Return what was found."""
        blobs = {
            digest
            for digest, file in self._tree.blobs.items()
            if self._limits.is_young(file.changed)
        }
        for found in self._found.values():
            blobs |= found.blobs | found.manifests
        return Alive(self._found, blobs)

    def _is_young(self, link: File | None) -> bool:
        return link is not None and self._limits.is_young(link.changed)

    def _was_pulled(self, name: str, digest: str) -> bool:
        last = self._pulled.get((name, digest), 0.0)
        return last >= self._limits.now - self._limits.untagged - CLOCK_STEP

    def _keep_tag(self, name: str, tag: str) -> None:
        entry = self._tree.repositories[name].tags[tag]
        self._found[name].tags.add(tag)
        # A tag whose link is missing or torn may be any of those it has named.
        digests = [entry.digest] if entry.digest else list(entry.earlier)
        self._waiting += [(name, digest) for digest in digests]

    def _follow(self) -> None:
        """Mark what the waiting manifests lead to."""
        while self._waiting:
            name, digest = self._waiting.pop()
            found = self._found[name]
            if digest in found.manifests:
                continue
            found.manifests.add(digest)
            self._mark_parts(name, digest)
            if digest not in self._followed:
                self._followed.add(digest)
                self._waiting += self._referrers.get(digest, ())
                for place in self._tags_about.get(digest, ()):
                    self._keep_tag(*place)

    def _mark_parts(self, name: str, digest: str) -> None:
        found = self._found[name]
        manifest = self._manifests.get(digest)
        if manifest is None:
            self._mark_everything(name, digest)
            return
        found.blobs |= {part.digest for part in manifest.blobs}
        for child in manifest.children:
            # An index can list blobs, too: BuildKit keeps its cache so.
            found.blobs.add(child.digest)
            if self._is_manifest(name, child):
                self._waiting.append((name, child.digest))

    def _is_manifest(self, name: str, child: Descriptor) -> bool:
        is_here = child.digest in self._tree.repositories[name].manifests
        # One that no link names was deleted by its digest: clients do not get it. It is not read,
        # and what else the index needs is known.
        is_one = child.media_type in INDEXES | IMAGES and child.digest in self._manifests
        return is_here or is_one

    def _mark_everything(self, name: str, digest: str) -> None:
        """Mark all of a repository, because it is not known what one of its manifests needs."""
        repository, found = self._tree.repositories[name], self._found[name]
        if not found.unreadable:
            found.blobs.update(repository.blobs)
            self._waiting += [(name, other) for other in repository.manifests]
            for tag in repository.tags:
                if (name, tag) not in self._removed:
                    self._keep_tag(name, tag)
        found.unreadable.add(digest)


def digest_it_is_about(tag: str) -> str:
    """Return the digest of the manifest that a tag is about; empty for an ordinary tag.

    Args:
        tag: A tag's name.
    """
    match = _ABOUT.fullmatch(tag)
    return f"{match['algorithm']}:{match['value']}" if match else ""
