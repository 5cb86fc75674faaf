"""The rules of a collection, read from the files one by one: slow, plain, and nothing shared."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

_READABLE = {
    "application/vnd.oci.image.index.v1+json": ("manifests",),
    "application/vnd.docker.distribution.manifest.list.v2+json": ("manifests",),
    "application/vnd.oci.image.manifest.v1+json": ("config", "layers"),
    "application/vnd.docker.distribution.manifest.v2+json": ("config", "layers"),
}
_ABOUT = re.compile(r"(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})(\.[A-Za-z0-9_-]+)?")


class PlainCollector:
    """A registry's files, and which of them can go.

    Args:
        root: The storage's root folder.
        young_since: Whatever was written since stays.
    """

    def __init__(self, root: Path, young_since: float) -> None:
        self._v2 = root / "docker/registry/v2"
        self._young_since = young_since
        self._data: dict[str, str] = {}
        self._layers: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._revisions: dict[str, dict[str, str]] = defaultdict(dict)
        self._tags: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._uploads: set[str] = set()
        self._aliases: dict[str, str] = {}
        self._parsed: dict[str, Any] = {}
        self.live: set[tuple[str, str]] = set()
        """Manifests, as repository and digest."""
        self.live_tags: set[tuple[str, str]] = set()
        self._frozen: set[str] = set()
        for folder, _, names in os.walk(self._v2):
            for name in names:
                self._add(str((Path(folder) / name).relative_to(self._v2)))

    def dead(self) -> set[str]:
        """Return the files that a collection takes, below `docker/registry/v2`."""
        while self._grow():
            pass
        needed = {digest for _, digest in self.live}
        dead = set()
        for name in self._layers.keys() | self._revisions.keys() | self._tags.keys():
            blobs = self._blobs_of(name)
            needed |= blobs
            for digest, paths in self._layers[name].items():
                if digest in blobs or name in self._frozen or any(map(self._is_young, paths)):
                    needed.add(digest)
                else:
                    dead |= {path for path in paths if _is_canonical(path, digest)}
            dead |= {
                path for digest, path in self._revisions[name].items()
                if (name, digest) not in self.live
            }  # fmt: skip
            for tag, paths in self._tags[name].items():
                if (name, tag) not in self.live_tags:
                    dead |= set(paths)
        dead |= {
            path for digest, path in self._data.items()
            if digest not in needed and not self._is_young(path)
        }  # fmt: skip
        return dead

    def _add(self, path: str) -> None:
        parts = path.split("/")
        if parts[0] == "blobs" and parts[-1] == "data":
            self._data[f"{parts[1]}:{parts[3]}"] = path
            return
        marks = [number for number, part in enumerate(parts) if part[:1] == "_"]
        if parts[0] != "repositories" or not marks or marks[0] < 2:
            return
        name, rest = "/".join(parts[1 : marks[0]]), parts[marks[0] :]
        if rest[0] == "_uploads":
            self._uploads.add(name)
        elif rest[:2] == ["_manifests", "tags"] and len(rest) > 3:
            self._tags[name][rest[2]].append(path)
        elif rest[-1] != "link":
            return
        elif rest[:2] == ["_manifests", "revisions"]:
            self._revisions[name][f"{rest[2]}:{rest[3]}"] = path
        elif rest[0] == "_layers":
            digest, content = f"{rest[1]}:{rest[2]}", (self._v2 / path).read_text()
            if rest[1] != "sha256" and content.startswith("sha256:"):
                self._aliases[digest] = content
                digest = content
            self._layers[name][digest].append(path)

    def _is_young(self, path: str) -> bool:
        return (self._v2 / path).stat().st_ctime >= self._young_since

    def _grow(self) -> bool:
        """Mark what is found to be alive in one pass; returns whether it was anything."""
        before = len(self.live), len(self.live_tags), len(self._frozen)
        digests = {digest for _, digest in self.live}
        manifests = {digest for each in self._revisions.values() for digest in each}
        manifests |= {
            self._current(paths) for each in self._tags.values() for paths in each.values()
        }
        for name in list(self._tags):
            for tag, paths in self._tags[name].items():
                about = _ABOUT.fullmatch(tag)
                subject = about[1].replace("-", ":", 1) if about else ""
                current = [path for path in paths if path.endswith(f"/{tag}/current/link")]
                if (
                    not subject
                    or subject not in manifests
                    or subject in digests
                    or name in self._frozen
                    or any(map(self._is_young, current))
                ):
                    self.live_tags.add((name, tag))
                    self.live |= {(name, digest) for digest in self._targets(tag, paths)}
        for name, revisions in list(self._revisions.items()):
            for digest, path in revisions.items():
                if self._read(digest) is None:
                    self._frozen.add(name)
                subject = ((self._read(digest) or {}).get("subject") or {}).get("digest")
                if self._is_young(path) or subject in digests or name in self._frozen:
                    self.live.add((name, digest))
        for name, digest in list(self.live):
            manifest = self._read(digest)
            if manifest is None:
                self._frozen.add(name)
                continue
            for child in manifest.get("manifests", ()):
                # One that no link names was deleted by its digest: clients do not get it.
                is_named = child["digest"] in manifests and self._read(child["digest"])
                is_one = child["mediaType"] in _READABLE and is_named
                if child["digest"] in self._revisions[name] or is_one:
                    self.live.add((name, child["digest"]))
        return before != (len(self.live), len(self.live_tags), len(self._frozen))

    def _current(self, paths: list[str]) -> str:
        links = [path for path in paths if path.endswith("/current/link")]
        return (self._v2 / links[0]).read_text() if links else ""

    def _targets(self, tag: str, paths: list[str]) -> list[str]:
        for path in paths:
            if path.endswith(f"/tags/{tag}/current/link"):
                digest = (self._v2 / path).read_text()
                if digest:
                    return [digest]
        entries = [path.split("/") for path in paths if f"/tags/{tag}/index/" in path]
        return [f"{each[-3]}:{each[-2]}" for each in entries if each[-1] == "link"]

    def _blobs_of(self, name: str) -> set[str]:
        found = set()
        for repository, digest in self.live:
            manifest = self._read(digest)
            if repository == name and manifest is not None:
                parts = [*manifest.get("manifests", ()), *manifest.get("layers", ())]
                parts += [manifest["config"]] if "config" in manifest else []
                found |= {self._aliases.get(part["digest"], part["digest"]) for part in parts}
        return found

    def _read(self, digest: str) -> Any:
        """Return a manifest; None if it is not known what it refers to."""
        if digest not in self._parsed:
            self._parsed[digest] = self._parse(digest)
        return self._parsed[digest]

    def _parse(self, digest: str) -> Any:
        if digest not in self._data:
            return None
        content = (self._v2 / self._data[digest]).read_bytes()
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            return None
        manifest = json.loads(content)
        is_known = manifest["schemaVersion"] == 2 and manifest["mediaType"] in _READABLE
        return manifest if is_known else None


def _is_canonical(path: str, digest: str) -> bool:
    return path.endswith(f"/{digest.replace(':', '/')}/link")
