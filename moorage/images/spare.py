"""Find what was pushed since a plan was made: it stays.

Reading everything again would take longer than writes can be held. So this looks at the planned
files, at folders that have got new entries, and at repositories that are new.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moorage.images.alive import CLOCK_STEP, digest_it_is_about
from moorage.images.contents import Contents
from moorage.images.read import Stored
from moorage.images.sweep import V2, Entry, Sweep, is_link, is_manifest, repository_of

_LAYERS = "_layers/sha256"
_MANIFESTS = "_manifests/revisions/sha256"


@dataclass
class Spared:
    """The part of a plan that stays.

    Attributes:
        digests: Content that is needed.
        paths: Files and folders that were written.
        repositories: Repositories that got something.
        everything: Whether it is not known what is needed, so that everything stays.
    """

    digests: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)
    everything: bool = False

    def has(self, entry: Entry) -> bool:
        """Return whether an entry stays.

        Args:
            entry: A planned file or folder.
        """
        return (
            self.everything
            or entry.path in self.paths
            or (bool(entry.digest) and entry.digest in self.digests)
            or (entry.path.endswith(_REPOSITORY) and entry.repository in self.repositories)
        )


_REPOSITORY = ("/_layers", "/_manifests", "/_uploads")


@dataclass(frozen=True)
class Watch:
    """A plan, and since when it is watched.

    Attributes:
        root: The storage's root folder.
        entries: The planned files and folders.
        stored: What was stored when the plan was made.
        since: When reading it began, in seconds since 1970.
        empty: Folders of links that had none then; see :func:`empty_folders`.
    """

    root: Path
    entries: tuple[Entry, ...]
    stored: Stored
    since: float
    empty: tuple[str, ...] = ()


def empty_folders(root: Path) -> tuple[str, ...]:
    """Return folders that lack their link: a new link in them does not show in their parents.

    Args:
        root: The storage's root folder.
    """
    found = []
    v2 = root / V2
    for repository in _repositories(v2):
        for kind in (_LAYERS, _MANIFESTS):
            folder = f"repositories/{repository}/{kind}"
            for value in _names(v2 / folder):
                if not (v2 / folder / value / "link").exists():
                    found.append(f"{folder}/{value}")
    return tuple(found)


def find_spared(
    watch: Watch,
    chosen: Sequence[Entry] | None = None,
    done: Iterable[Sweep] = (),
    asked: Iterable[tuple[str, str]] = (),
) -> Spared:
    """Return what was written or asked for since, and what that needs.

    Args:
        watch: The plan.
        chosen: The part of the plan that is about to be moved; all of it if None.
        done: Where files were moved to.
        asked: What clients asked for: repositories, with a digest or a tag of each.
    """
    return _Search(watch, chosen, tuple(done)).spared(asked)


class _Search:
    def __init__(self, watch: Watch, chosen: Sequence[Entry] | None, done: tuple[Sweep, ...]):
        self._watch = watch
        self._v2 = watch.root / V2
        self._base = f"{self._v2}/"
        self._done = done
        self._since = watch.since - CLOCK_STEP
        self._digests = None if chosen is None else {entry.digest for entry in chosen}
        self._planned = {entry.digest for entry in watch.entries}
        self._found = Spared()
        self._manifests: list[str] = []
        """Manifests of which it is still to be found out what they need."""
        self._contents = Contents(watch.root, done)

    def spared(self, asked: Iterable[tuple[str, str]]) -> Spared:
        for repository, reference in asked:
            self._add_asked(repository, reference)
        self._look_at_entries()
        self._look_at_repositories()
        for folder in self._watch.empty:
            kind, _, value = folder.rpartition("/")
            if not kind.endswith(_LAYERS) or f"sha256:{value}" in self._planned:
                self._look_at(f"{folder}/link")
        for sweep in self._done:
            for entry, place in sweep.places():
                if entry.is_link and place.stat().st_mtime >= self._since:
                    # A registry that had opened it before has written to it.
                    self._add(entry.path)
        self._follow()
        return self._found

    def _add_asked(self, repository: str, reference: str) -> None:
        stored = self._watch.stored
        there = stored.tree.repositories.get(repository)
        reference = stored.tree.aliases.get(reference, reference)
        if reference.startswith("sha256:"):
            self._found.digests.add(reference)
        elif there is not None and reference in there.tags:
            self._found.paths.add(f"repositories/{repository}/_manifests/tags/{reference}")
            reference = there.tags[reference].digest
        if reference in stored.manifests:
            self._manifests.append(reference)

    def _look_at_entries(self) -> None:
        for entry in self._watch.entries:
            if is_manifest(entry.path):
                self._look_at(entry.path)
            elif is_link(entry.path):
                if self._digests is None or entry.digest in self._digests:
                    self._look_at(entry.path)
            elif self._is_new(f"{entry.path}/current/link"):
                self._found.paths.add(entry.path)

    def _look_at_repositories(self) -> None:
        known = self._watch.stored.tree.repositories
        for name in _repositories(self._v2):
            for kind in (_LAYERS, _MANIFESTS, "_manifests/tags", "_uploads"):
                folder = f"repositories/{name}/{kind}"
                if self._is_new(folder):
                    self._found.repositories.add(name)
                elif name in known:
                    continue
                if kind in {_LAYERS, _MANIFESTS}:
                    for value in _names(self._v2 / folder):
                        self._look_at(f"{folder}/{value}/link")

    def _look_at(self, path: str) -> None:
        if self._is_new(path):
            self._add(path)

    def _is_new(self, path: str) -> bool:
        # Writes are held meanwhile, and pathlib takes several times as long.
        try:
            return os.stat(self._base + path).st_ctime >= self._since  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _add(self, path: str) -> None:
        """Spare what a written link leads to."""
        digest = f"sha256:{path.split('/')[-2]}"
        self._found.paths.add(path)
        self._found.repositories.add(repository_of(path))
        self._found.digests.add(digest)
        if is_manifest(path):
            self._manifests.append(digest)

    def _follow(self) -> None:
        """Spare what manifests need, and what is about them."""
        planned = self._referrers()
        about = self._tags_about()
        aliases = self._watch.stored.tree.aliases
        seen: set[str] = set()
        while self._manifests:
            digest = self._manifests.pop()
            if digest in seen:
                continue
            seen.add(digest)
            self._found.digests.add(digest)
            manifest = self._watch.stored.manifests.get(digest)
            if manifest is None:
                manifest = self._contents.manifest(digest)
            if manifest is None:
                self._found.everything = True
                return
            self._found.digests.update(
                aliases.get(part.digest, part.digest) for part in manifest.blobs
            )
            for child in manifest.children:
                self._found.digests.add(child.digest)
                if child.digest in self._watch.stored.manifests:
                    self._manifests.append(child.digest)
            self._manifests += planned.get(digest, ())
            for path, target in about.get(digest, ()):
                self._found.paths.add(path)
                self._manifests += [target] if target else []

    def _referrers(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for entry in self._watch.entries:
            manifest = self._watch.stored.manifests.get(entry.digest)
            if entry.is_manifest and manifest is not None and manifest.subject:
                found[manifest.subject].append(entry.digest)
        return found

    def _tags_about(self) -> dict[str, list[tuple[str, str]]]:
        found = defaultdict(list)
        for entry in self._watch.entries:
            about = digest_it_is_about(entry.tag) if entry.tag else ""
            if about:
                repository = self._watch.stored.tree.repositories[entry.repository]
                found[about].append((entry.path, repository.tags[entry.tag].digest))
        return found


def _repositories(v2: Path) -> Iterator[str]:
    """Yield the names of all repositories."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        is_one = False
        try:
            with os.scandir(v2 / "repositories" / above) as entries:
                for entry in entries:
                    if entry.name.startswith("_"):
                        is_one = True
                    elif entry.is_dir():
                        waiting.append(f"{above}/{entry.name}" if above else entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if is_one:
            yield above


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
