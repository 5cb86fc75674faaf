"""Plan a collection: the files it moves into the trash, and the bytes it frees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from moorage.images.alive import Alive, Limits, digest_it_is_about, find_alive
from moorage.images.manifests import Manifest, below
from moorage.images.read import Stored
from moorage.images.sweep import Entry
from moorage.images.tree import Tree

VERIFY = "moorage-verify"
"""The repository that Moorage's own checks push to. They delete the image, and the rest is left."""
CHECK_LAYER = 64 * 1024
"""The bytes of the layer that a check pushes."""
_MOST_OF_CHECK = 1024
"""The bytes that the configuration and the manifest of a check's image have at most."""
_TAGGED = Limits(float("inf"), 0.0, takes_untagged=True)
"""Only what tags need is alive: nothing is young before the beginning."""


class NothingAliveError(Exception):
    """Everything looks dead, which is more likely a store that was not read right."""


@dataclass(frozen=True)
class Collection:
    """The files that can go.

    Attributes:
        entries: Files and folders to move, in this order: tags, links, content.
        tags: The tags among it, as repository and tag.
        manifests: The number of manifests among it.
        blobs: The number of blobs among it.
        freed: Bytes.
        kept_untagged: The number of manifests without a tag that stay because pulls of them are
            not known for long enough.
        kept_until: When they are known for long enough, in seconds since 1970; None if nothing
            is kept for that reason, or if that is not known.
        unreadable: By repository in which everything stays, why: digest and reason.
    """

    entries: tuple[Entry, ...]
    tags: tuple[tuple[str, str], ...]
    manifests: int
    blobs: int
    freed: int
    kept_untagged: int
    kept_until: float | None
    unreadable: Mapping[str, tuple[tuple[str, str], ...]]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to move."""
        return not self.entries

    @property
    def removes_checks(self) -> bool:
        """Whether the repository of Moorage's own checks goes; no other goes entirely."""
        return any(each.is_repository and each.repository == VERIFY for each in self.entries)


def plan_collection(
    stored: Stored,
    limits: Limits,
    pulled: Mapping[tuple[str, str], float] | None = None,
    trash: Iterable[Entry] = (),
) -> Collection:
    """Return what can go.

    That nothing is alive is more likely a store that is not complete, unless the trash has what was
    deleted.

    Args:
        stored: What the registry stores.
        limits: Until when something counts as alive without a tag.
        pulled: By repository and digest, when a manifest was last pulled by its digest.
        trash: What is in the trash.

    Raises:
        NothingAliveError: There are blobs, none of them is alive or was deleted, and they are more
            than Moorage's checks leave.
    """
    alive = find_alive(stored.tree, stored.manifests, limits, pulled)
    is_meant = any(map(_was_deleted, trash))
    if not (alive.blobs or is_meant or _is_of_checks(stored.tree)):
        raise NothingAliveError
    tags = tuple(_dead_tags(stored.tree, alive))
    links = [*_dead_manifests(stored.tree, alive), *_dead_layers(stored.tree, alive)]
    blobs = [_content(digest, size) for digest, size in alive.dead_blobs(stored.tree).items()]
    folders = [Entry(f"repositories/{name}/_manifests/tags/{tag}") for name, tag in tags]
    if blobs and _is_left(stored.tree, alive, VERIFY):
        # Its empty folders would keep it in the catalog. They can be all that is left of it.
        blobs += _folders(VERIFY)
    kept = sum(len(each.untagged) for each in alive.repositories.values())
    return Collection(
        entries=(*folders, *links, *blobs),
        tags=tags,
        manifests=sum(entry.is_manifest for entry in links),
        blobs=sum(entry.is_content for entry in blobs),
        freed=sum(entry.size for entry in blobs),
        kept_untagged=kept,
        kept_until=limits.pulls_known_at if kept else None,
        unreadable={
            name: tuple((digest, stored.unreadable.get(digest, "")) for digest in each.unreadable)
            for name, each in alive.repositories.items()
            if each.unreadable
        },
    )


def still_dead(
    plan: Collection, condemned: Set[str], manifests: Mapping[str, Manifest]
) -> list[Entry]:
    """Return what a second plan has in common with a first one, and nothing else needs.

    Args:
        plan: The second plan.
        condemned: The paths in the first.
        manifests: The parsed manifests, by digest.
    """
    # A link that is not condemned needs its content.
    waiting = [each.digest for each in plan.entries if each.path not in condemned and each.is_link]
    kept = set(waiting)
    while waiting:
        manifest = manifests.get(waiting.pop())
        if manifest is not None:
            parts = {part.digest for part in (*manifest.blobs, *manifest.children)}
            waiting += parts - kept
            kept |= parts
    return [each for each in plan.entries if each.path in condemned and each.digest not in kept]


def _was_deleted(entry: Entry) -> bool:
    """Return whether it is a tag or repository that a collection by itself does not remove."""
    if entry.is_repository:
        return entry.repository != VERIFY
    return bool(entry.tag) and not digest_it_is_about(entry.tag)


def plan_deletion(
    stored: Stored,
    now: float,
    tags: Iterable[tuple[str, str]],
    repositories: Iterable[str] = (),
) -> tuple[Entry, ...]:
    """Return the files and folders that go when tags or repositories are deleted.

    The content stays: a collection frees what nothing else needs. Of a deleted tag's manifests, the
    links go that nothing else in the repository needs, so that they cannot be pulled by digest, and
    do not count as images without a tag.

    Args:
        stored: What the registry stores.
        now: The time at which the listing began, in seconds since 1970.
        tags: Repositories and tags.
        repositories: Repositories to delete entirely.
    """
    whole = tuple(repositories)
    removed = frozenset(each for each in tags if each[0] not in whole)
    folders = [Entry(f"repositories/{name}/_manifests/tags/{tag}") for name, tag in sorted(removed)]
    links: list[Entry] = []
    trees = stored.tree.repositories
    digests: dict[str, set[str]] = {}
    for name, tag in removed:
        digests.setdefault(name, set()).update(
            below(stored.manifests, trees[name].tags[tag].digest)
        )
    rest = Tree(dict(trees), stored.tree.blobs)
    for name, found in digests.items():
        manifests = {
            each: link for each, link in trees[name].manifests.items() if each not in found
        }
        rest.repositories[name] = replace(trees[name], manifests=manifests)
    alive = find_alive(rest, stored.manifests, Limits(now), without=removed)
    for name, found in digests.items():
        kept = alive.repositories[name].manifests
        for digest in sorted(found & trees[name].manifests.keys() - kept):
            path = digest.replace(":", "/")
            links.append(Entry(f"repositories/{name}/_manifests/revisions/{path}/link", digest))
    folders += [entry for name in whole for entry in _folders(name)]
    return (*folders, *links)


def _folders(repository: str) -> list[Entry]:
    """Return the folders of a repository; those of repositories below it are beside them."""
    parts = ("_manifests", "_layers", "_uploads")
    return [Entry(f"repositories/{repository}/{part}") for part in parts]


def _is_left(tree: Tree, alive: Alive, name: str) -> bool:
    """Return whether a repository has nothing that is alive, and nothing in progress."""
    repository, found = tree.repositories.get(name), alive.repositories.get(name)
    if repository is None or found is None:
        return True
    return not (
        repository.tags or repository.uploads or found.manifests or found.blobs or found.unreadable
    )


def _is_of_checks(tree: Tree) -> bool:
    """Return whether a registry stores nothing but what Moorage's checks leave.

    Their repository alone does not tell: the repositories of other content can be lost.
    """
    sizes = (file.size for file in tree.blobs.values())
    return tree.repositories.keys() <= {VERIFY} and all(
        size == CHECK_LAYER or size <= _MOST_OF_CHECK for size in sizes
    )


def tagged_size(
    stored: Stored, tags: Iterable[tuple[str, str]] = (), repositories: Iterable[str] = ()
) -> int:
    """Return the bytes that tags need.

    Args:
        stored: What the registry stores.
        tags: Tags that do not count.
        repositories: Repositories that do not count.
    """
    without = frozenset(repositories)
    trees = {name: each for name, each in stored.tree.repositories.items() if name not in without}
    tree = Tree(trees, stored.tree.blobs)
    removed = [each for each in tags if each[0] not in without]
    alive = find_alive(tree, stored.manifests, _TAGGED, without=removed)
    return sum(file.size for digest, file in tree.blobs.items() if digest in alive.blobs)


def untagged_blobs(stored: Stored) -> dict[str, int]:
    """Return the bytes of all content that no tag needs, by digest.

    Args:
        stored: What the registry stores.
    """
    return find_alive(stored.tree, stored.manifests, _TAGGED).dead_blobs(stored.tree)


def _dead_tags(tree: Tree, alive: Alive) -> Iterator[tuple[str, str]]:
    for name, repository in tree.repositories.items():
        for tag in repository.tags.keys() - alive.repositories[name].tags:
            yield name, tag


def _dead_manifests(tree: Tree, alive: Alive) -> Iterator[Entry]:
    for name, repository in tree.repositories.items():
        for digest in repository.manifests.keys() - alive.repositories[name].manifests:
            path = digest.replace(":", "/")
            yield Entry(f"repositories/{name}/_manifests/revisions/{path}/link", digest)


def _dead_layers(tree: Tree, alive: Alive) -> Iterator[Entry]:
    for name, repository in tree.repositories.items():
        for digest in repository.blobs.keys() - alive.repositories[name].blobs:
            yield Entry(f"repositories/{name}/_layers/{digest.replace(':', '/')}/link", digest)


def _content(digest: str, size: int) -> Entry:
    algorithm, _, value = digest.partition(":")
    return Entry(f"blobs/{algorithm}/{value[:2]}/{value}/data", digest, size)
