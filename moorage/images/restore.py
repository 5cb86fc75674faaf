"""Bring images back from the trash, with everything they need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.images.contents import Contents
from moorage.images.read import SHA256
from moorage.images.sweep import V2, Entry, State, Sweep, sweeps, tag_folders

_MOST_WARNINGS = 20


@dataclass(frozen=True)
class Restored:
    """The result of a restoration.

    Attributes:
        files: The number of files and folders.
        kept: The tags that stay as they are because they were pushed again: repository, tag, and
            the digest of the image that was deleted, which has no tag now.
        is_found: Whether any of the chosen was in the trash.
    """

    files: int
    kept: tuple[tuple[str, str, str], ...]
    is_found: bool


def restore(root: Path, chosen: Sequence[tuple[str, str]]) -> Restored:
    """Move images back to where they were. What was pushed there since stays as it is.

    Args:
        root: The storage's root folder.
        chosen: Repositories and tags; an empty tag stands for all of a repository. Everything in
            the trash if there are none.
    """
    trash = [each for each in reversed(sweeps(root)) if each.state is State.CHECKED]
    is_found = next(_chosen_in(trash, chosen), None) is not None
    deleted = _deleted_tags(trash, chosen)
    files = _put_back(root, trash, chosen)
    kept = (
        (repository, tag, digest)
        for (repository, tag), digest in sorted(deleted.items())
        if _current(root / V2 / _tag_path(repository, tag)) not in {digest, ""}
    )
    return Restored(files, tuple(kept), is_found)


def kept_warnings(kept: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Yield a sentence for each tag that was pushed again; the number of those beyond the first.

    Args:
        kept: See :class:`Restored`.
    """
    for repository, tag, digest in kept[:_MOST_WARNINGS]:
        yield (
            f"{repository}:{tag} was pushed again after it was deleted, so it keeps its new "
            f"image. The deleted one is back without a tag: {repository}@{digest}"
        )
    if len(kept) > _MOST_WARNINGS:
        yield f"{len(kept) - _MOST_WARNINGS} more tags were pushed again"


def _put_back(root: Path, trash: Sequence[Sweep], chosen: Sequence[tuple[str, str]]) -> int:
    back = 0
    if not chosen:
        for sweep in trash:
            back += sweep.put_back()
            _tidy(sweep)
        return back
    needed = _needed(Contents(root, trash), trash, chosen)
    found = {repository for repository, _ in chosen}
    partly = {repository for repository, tag in chosen if tag}
    # Content first, so that nothing refers to what is not there yet.
    for is_wanted in (
        lambda entry: entry.is_content and entry.digest in needed,
        lambda entry: entry.is_link and entry.digest in needed and entry.repository in found,
        lambda entry: any(is_of(entry, *each) for each in chosen),
    ):
        for sweep in trash:
            back += sweep.put_back(is_wanted)
            back += sum(sweep.put_parts_back(each, is_wanted) for each in partly)
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
    for entry, place in _chosen_in(trash, chosen):
        waiting += _digests_below(entry, place)
    needed: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest in needed:
            continue
        needed.add(digest)
        manifest = contents.manifest(digest)
        if manifest is not None:
            named = [part.digest for part in manifest.blobs]
            needed.update(digest for digest in named if not digest.startswith("sha256:"))
            waiting += [contents.stored_as(digest, repositories) for digest in named]
            waiting += [child.digest for child in manifest.children]
    return needed


def _deleted_tags(
    trash: Sequence[Sweep], chosen: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return the digests of the chosen tags in the trash; if deleted twice, of the latest."""
    found: dict[tuple[str, str], str] = {}
    for entry, place in _chosen_in(trash, chosen):
        for tag, folder in tag_folders(entry, place):
            if digest := _current(folder):
                found.setdefault((entry.repository, tag), digest)
    return found


def _chosen_in(
    trash: Sequence[Sweep], chosen: Sequence[tuple[str, str]]
) -> Iterator[tuple[Entry, Path]]:
    """Yield what was chosen, and where it is in the trash."""
    for sweep in trash:
        for entry, place in sweep.places():
            if not chosen or any(is_of(entry, *each) for each in chosen):
                yield entry, place
            elif entry.is_repository:
                for tag, folder in tag_folders(entry, place):
                    if (entry.repository, tag) in chosen:
                        yield Entry(_tag_path(entry.repository, tag)), folder


def _tag_path(repository: str, tag: str) -> str:
    return f"repositories/{repository}/_manifests/tags/{tag}"


def _current(folder: Path) -> str:
    """Return the digest that a tag names; empty if there is no such tag."""
    try:
        text = (folder / "current/link").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
    return text if SHA256.fullmatch(text) else ""


def _digests_below(entry: Entry, place: Path) -> Iterator[str]:
    """Yield the digests that a tag or a repository's folder leads to."""
    if entry.digest:
        yield entry.digest
        return
    for path in place.rglob("link"):
        text = path.read_text(encoding="ascii", errors="replace").strip()
        if text.startswith("sha256:"):
            yield text


def is_of(entry: Entry, repository: str, tag: str) -> bool:
    """Return whether an entry is a tag, or part of a repository.

    Args:
        entry: The entry.
        repository: The repository.
        tag: The tag; empty for the whole repository.
    """
    if tag:
        return (entry.repository, entry.tag) == (repository, tag)
    return entry.repository == repository
