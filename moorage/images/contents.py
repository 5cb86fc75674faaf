"""Read manifests where the registry stores them, or from the trash."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from moorage.images.manifests import (
    LARGEST,
    Manifest,
    UnreadableManifestError,
    parse_manifest,
)
from moorage.images.read import SHA256
from moorage.images.sweep import V2, Sweep


class Contents:
    """The content of blobs, in their place or in the trash.

    Args:
        root: The storage's root folder.
        trash: The runs whose files are in the trash.
    """

    def __init__(self, root: Path, trash: Iterable[Sweep]) -> None:
        self._repositories = root / V2 / "repositories"
        self._blobs = root / V2 / "blobs/sha256"
        self._trashed: dict[str, Path] = {}
        self._layers: list[tuple[str, Path]] = []
        for sweep in trash:
            for entry, place in sweep.places():
                if entry.is_content:
                    self._trashed.setdefault(entry.digest, place)
                elif entry.path.endswith("/_layers"):
                    self._layers.append((entry.repository, place))

    def manifest(self, digest: str) -> Manifest | None:
        """Return a manifest; None if it is not there, or cannot be read.

        Args:
            digest: Its digest.
        """
        value = digest.partition(":")[2]
        places = [self._blobs / value[:2] / value / "data"]
        if digest in self._trashed:
            places.append(self._trashed[digest])
        for place in places:
            try:
                if place.stat().st_size <= LARGEST:
                    return parse_manifest(digest, place.read_bytes())
            except (OSError, UnreadableManifestError):
                continue
        return None

    def stored_as(self, digest: str, repositories: Iterable[str]) -> str:
        """Return the digest under which content is stored, which is always a sha256 digest.

        Args:
            digest: A digest, also of another algorithm.
            repositories: The repositories whose links tell.
        """
        if not digest.startswith("sha256:"):
            known = frozenset(repositories)
            folders = [self._repositories / each / "_layers" for each in known]
            folders += [place for repository, place in self._layers if repository in known]
            for folder in folders:
                with suppress(OSError, ValueError):
                    link = folder / digest.replace(":", "/") / "link"
                    found = link.read_text(encoding="ascii")
                    if SHA256.fullmatch(found):
                        return found
        return digest
