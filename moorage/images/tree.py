"""The tree of files in which the registry keeps images, read from a listing.

The registry's own `_catalog` and `tags/list` are not used: some versions leave names out of them
(https://github.com/distribution/distribution/issues/4898, #4904).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LISTING = "%C@ %T@ %s %P\\0"
"""An entry of the listing, for find's -printf, in the folder `docker/registry/v2`."""


class File(NamedTuple):
    """A file's times, in seconds since 1970, and its size.

    Attributes:
        changed: When its inode last changed; a rename and a rewrite with the same content do that.
        modified: When its content was last written.
        size: Bytes.
    """

    changed: float
    modified: float
    size: int


LARGEST = 1 << 62
"""The largest time and size of a file; a listing can come from a server that was taken over."""
_UPLOADING = 900.0
"""Seconds without a write after which an upload is not waited for."""


@dataclass
class Tag:
    """A tag of a repository.

    Attributes:
        digest: The manifest it names; empty if its link could not be read.
        link: Its link; None if it is missing, as after a deletion that was interrupted.
        earlier: By digest, the links of all manifests that it has named.
    """

    digest: str = ""
    link: File | None = None
    earlier: dict[str, File] = field(default_factory=dict)


@dataclass
class Repository:
    """A repository's links.

    Attributes:
        tags: By name.
        manifests: By digest, the link of each manifest it has.
        blobs: By digest, the link of each layer and configuration it has.
        uploads: By ID, the files of unfinished uploads.
    """

    tags: dict[str, Tag] = field(default_factory=dict)
    manifests: dict[str, File] = field(default_factory=dict)
    blobs: dict[str, File] = field(default_factory=dict)
    uploads: dict[str, list[File]] = field(default_factory=dict)

    @property
    def last_write(self) -> float:
        """The time of the last write to one of its links, in seconds since 1970; 0 without any."""
        links = [tag.link for tag in self.tags.values() if tag.link is not None]
        return max((link.modified for link in (*links, *self.manifests.values())), default=0.0)

    def is_in_use(self, now: float) -> bool:
        """Return whether something is being pushed to it.

        Args:
            now: The time, in seconds since 1970.
        """
        writes = (file.changed for files in self.uploads.values() for file in files)
        return any(write > now - _UPLOADING for write in writes)


@dataclass
class Tree:
    """All files of a registry's storage.

    Attributes:
        repositories: By name.
        blobs: By digest, the content of layers, configurations and manifests.
        aliases: By a digest of another algorithm, the sha256 digest of the same content.
        foreign: Paths that the registry does not write, at most :data:`MOST_FOREIGN`.
        foreign_count: The number of such paths.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, File] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    foreign_count: int = 0

    def manifests(self) -> set[str]:
        """Return the digests of all manifests that a repository or a tag names."""
        found: set[str] = set()
        for repository in self.repositories.values():
            found.update(repository.manifests)
            found.update(tag.digest for tag in repository.tags.values() if tag.digest)
        return found


MOST_FOREIGN = 20


class TreeBuilder:
    """Builds a tree from a listing of files, and afterwards from the content of links.

    Attributes:
        tree: The tree.
    """

    def __init__(self) -> None:
        self.tree = Tree()
        self._waiting: list[tuple[str, File]] = []

    def add_listing(self, entries: bytes) -> None:
        """Add files.

        Args:
            entries: Entries in the format :data:`LISTING`, without the last one's end.

        Raises:
            ValueError: They are not entries of a listing.
        """
        for entry in entries.decode("utf-8", "surrogateescape").split("\0") if entries else ():
            changed, modified, size, path = entry.split(" ", 3)
            file = File(float(changed), float(modified), int(size))
            # Not a number is not between others either.
            if not (
                -LARGEST < file.changed < LARGEST
                and -LARGEST < file.modified < LARGEST
                and -LARGEST < file.size < LARGEST
            ):
                raise ValueError("a file with an absurd time or size")
            self.add(path, file)

    def add(self, path: str, file: File) -> None:
        """Add a file.

        Args:
            path: Its path below `docker/registry/v2`.
            file: Its times and size.
        """
        if has_to_be_read(path):
            self._waiting.append((path, file))
        else:
            _add(self.tree, path, file, {})

    def add_links(self, links: Mapping[str, str]) -> None:
        """Add the links whose path does not tell what they name.

        Args:
            links: By path, the digest that each tag's `current/link` names, and that of each link
                outside `sha256`.
        """
        for path, file in self._waiting:
            _add(self.tree, path, file, links)
        self._waiting.clear()


def _add(tree: Tree, path: str, file: File, links: Mapping[str, str]) -> None:
    parts = path.split("/")
    if parts[0] == "blobs" and len(parts) == 5 and parts[4] == "data":
        tree.blobs[f"{parts[1]}:{parts[3]}"] = file
    elif parts[0] != "repositories" or not _add_link(tree, path, file, links):
        tree.foreign_count += 1
        if len(tree.foreign) < MOST_FOREIGN:
            tree.foreign.append(path)


def _add_link(tree: Tree, path: str, file: File, links: Mapping[str, str]) -> bool:
    """Add a file of a repository; returns whether the registry writes such files."""
    # No part of a repository's name begins with an underscore.
    folder, _, inside = path.partition("/_")
    name = folder.partition("/")[2]
    if not (name and inside):
        return False
    repository = tree.repositories.get(name)
    if repository is None:
        repository = tree.repositories[name] = Repository()
    kind, *parts = inside.split("/")
    if kind == "uploads" and parts:
        repository.uploads.setdefault(parts[0], []).append(file)
    elif kind == "layers" and len(parts) == 3 and parts[2] == "link":
        digest = f"{parts[0]}:{parts[1]}"
        if path in links:
            # A link in another algorithm's folder names the sha256 digest of the same content.
            tree.aliases[digest] = links[path]
            digest = links[path]
            file = max(file, repository.blobs.get(digest, file))
        repository.blobs[digest] = file
    elif kind == "manifests" and len(parts) == 4 and parts[0] == "revisions" and parts[3] == "link":
        repository.manifests[f"{parts[1]}:{parts[2]}"] = file
    elif kind == "manifests" and len(parts) >= 4 and parts[0] == "tags":
        return _add_tag(repository, parts[1], parts[2:], file, links.get(path, ""))
    else:
        return False
    return True


def _add_tag(repository: Repository, name: str, parts: list[str], file: File, digest: str) -> bool:
    if parts == ["current", "link"]:
        entry = repository.tags.setdefault(name, Tag())
        entry.digest, entry.link = digest, file
        return True
    if len(parts) == 4 and parts[0] == "index" and parts[3] == "link":
        entry = repository.tags.setdefault(name, Tag())
        entry.earlier[f"{parts[1]}:{parts[2]}"] = file
        return True
    return False


def has_to_be_read(path: str) -> bool:
    """Return whether a link has to be read, because its path does not tell what it names.

    Args:
        path: Its path below `docker/registry/v2`.
    """
    is_tag = "/_manifests/tags/" in path and path.endswith("/current/link")
    is_alias = "/_layers/" in path and "/_layers/sha256/" not in path
    return is_tag or (is_alias and path.endswith("/link"))
