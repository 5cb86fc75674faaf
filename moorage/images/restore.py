"""Bring images back from the trash, with everything they need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from moorage.images.manifests import Manifest, UnreadableManifestError, parse_manifest
from moorage.images.sweep import V2, Entry, State, Sweep, sweeps


def restore(root: Path, chosen: Sequence[tuple[str, str]]) -> int:
    """Move images back to where they were. What was pushed there since stays as it is.

    Args:
        root: The storage's root folder.
        chosen: Repositories and tags; an empty tag stands for all of a repository. Everything in
            the trash if there are none.

    Returns:
        The number of files and folders that went back.
    """
    trash = [each for each in reversed(sweeps(root)) if each.state is State.CHECKED]
    back = 0
    if not chosen:
        for sweep in trash:
            back += sweep.put_back()
            _tidy(sweep)
        return back
    search = _Search(root, trash)
    needed, found = search.needed(chosen)
    # Content first, so that nothing refers to what is not there yet.
    for is_wanted in (
        lambda entry: entry.path.startswith("blobs/") and entry.digest in needed,
        lambda entry: entry.digest in needed and _repository(entry.path) in found,
        lambda entry: any(_is_of(entry, *each) for each in chosen),
    ):
        for sweep in trash:
            back += sweep.put_back(is_wanted)
    for sweep in trash:
        _tidy(sweep)
    return back


def _tidy(sweep: Sweep) -> None:
    if next(sweep.in_trash(), None) is None:
        sweep.discard()


class _Search:
    def __init__(self, root: Path, trash: Sequence[Sweep]) -> None:
        self._v2 = root / V2
        self._trash = trash
        self._content: dict[str, Path] = {}
        for sweep in trash:
            for entry, place in sweep.places():
                if entry.path.startswith("blobs/"):
                    self._content.setdefault(entry.digest, place)

    def needed(self, chosen: Sequence[tuple[str, str]]) -> tuple[set[str], set[str]]:
        """Return the digests that the chosen need, and their repositories."""
        repositories = {repository for repository, _ in chosen}
        waiting: list[str] = []
        for sweep in self._trash:
            for entry, place in sweep.places():
                if any(_is_of(entry, *each) for each in chosen):
                    waiting += _digests_below(entry, place)
        needed: set[str] = set()
        while waiting:
            digest = waiting.pop()
            if digest in needed:
                continue
            needed.add(digest)
            manifest = self._manifest(digest)
            if manifest is not None:
                waiting += [part.digest for part in (*manifest.blobs, *manifest.children)]
        return needed, repositories

    def _manifest(self, digest: str) -> Manifest | None:
        value = digest.partition(":")[2]
        places = [self._v2 / f"blobs/sha256/{value[:2]}/{value}/data"]
        if digest in self._content:
            places.append(self._content[digest])
        for place in places:
            try:
                if place.stat().st_size <= _LARGEST:
                    return parse_manifest(digest, place.read_bytes())
            except (OSError, UnreadableManifestError):
                continue
        return None


_LARGEST = 4 * 1024 * 1024


def _digests_below(entry: Entry, place: Path) -> Iterator[str]:
    """Yield the digests that a tag or a repository's folder leads to."""
    if entry.digest:
        yield entry.digest
        return
    for path in place.rglob("link"):
        text = path.read_text(encoding="ascii", errors="replace").strip()
        if text.startswith("sha256:"):
            yield text


def _is_of(entry: Entry, repository: str, tag: str) -> bool:
    """Return whether an entry is a tag, or part of a repository."""
    if tag:
        return entry.path == f"repositories/{repository}/_manifests/tags/{tag}"
    return _repository(entry.path) == repository


def _repository(path: str) -> str:
    if not path.startswith("repositories/"):
        return ""
    return path.partition("/")[2].partition("/_")[0]
