"""Bring images back from the trash, with everything they need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from moorage.images.contents import Contents
from moorage.images.sweep import Entry, State, Sweep, sweeps


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
    needed = _needed(Contents(root, trash), trash, chosen)
    found = {repository for repository, _ in chosen}
    # Content first, so that nothing refers to what is not there yet.
    for is_wanted in (
        lambda entry: entry.is_content and entry.digest in needed,
        lambda entry: entry.digest in needed and entry.repository in found,
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


def _needed(
    contents: Contents, trash: Sequence[Sweep], chosen: Sequence[tuple[str, str]]
) -> set[str]:
    """Return the digests that the chosen need."""
    repositories = {repository for repository, _ in chosen}
    waiting: list[str] = []
    for sweep in trash:
        for entry, place in sweep.places():
            if any(_is_of(entry, *each) for each in chosen):
                waiting += _digests_below(entry, place)
    needed: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest in needed:
            continue
        needed.add(digest)
        manifest = contents.manifest(digest)
        if manifest is not None:
            waiting += [contents.stored_as(part.digest, repositories) for part in manifest.blobs]
            waiting += [child.digest for child in manifest.children]
    return needed


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
        return (entry.repository, entry.tag) == (repository, tag)
    return entry.repository == repository
