"""Images in the storage of a lab server, as pushes leave them. Layers are holes: no content."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from lab.server import LabServer

_MIB = 1024**2
_DAY = 24 * 3600
_BASES = {"debian": 48 * _MIB, "node": 112 * _MIB}
_IMAGES = {
    "team-a/shop": ("node", 31, ("v2.4.0", "v2.4.1", "v2.5.0")),
    "team-a/shop-worker": ("debian", 18, ("v2.4.1", "v2.5.0")),
    "team-b/billing": ("debian", 22, ("2026.10", "2026.11")),
    "tools/ci-runner": ("node", 64, ("7", "8")),
}
"""By repository: its base, the size of its own layer in MiB, and its tags, oldest first."""


def store_images(server: LabServer, folder: str) -> None:
    """Store sample images on a server.

    Args:
        server: The server.
        folder: The registry's root folder.
    """
    root = server.inside(folder)
    owner = root.stat()
    for name, (base, size, tags) in _IMAGES.items():
        for number, tag in enumerate(tags):
            own = (f"{name}:{tag}", (size + number) * _MIB)
            _Store(root).image(name, tag, [(base, _BASES[base]), own], len(tags) - number)
    for place in root.rglob("*"):
        os.chown(place, owner.st_uid, owner.st_gid)


class _Store:
    def __init__(self, root: Path) -> None:
        self._v2 = root / "docker" / "registry" / "v2"

    def image(self, name: str, tag: str, layers: list[tuple[str, int]], days: int) -> None:
        """Store an image that was pushed some days ago, the newest just now."""
        platform = {"architecture": "amd64", "os": "linux"}
        parts = [(hashlib.sha256(each.encode()).hexdigest(), size) for each, size in layers]
        steps = [{"created_by": "FROM " + layers[0][0]}, {"created_by": "COPY . /app"}]
        config = json.dumps({**platform, "history": steps}).encode()
        parts.append((hashlib.sha256(config).hexdigest(), len(config)))
        for digest, size in parts:
            self._blob(digest, config if size == len(config) else b"", size)
            self._link(f"{name}/_layers/sha256/{digest}", digest)
        kind = "application/vnd.oci.image"
        described = [{"mediaType": f"{kind}.layer.v1.tar+gzip", "digest": f"sha256:{digest}",
                      "size": size} for digest, size in parts]  # fmt: skip
        described[-1]["mediaType"] = f"{kind}.config.v1+json"
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
            "config": described[-1], "layers": described[:-1],
        }).encode()  # fmt: skip
        digest = hashlib.sha256(manifest).hexdigest()
        self._blob(digest, manifest, len(manifest))
        at = time.time() - (days - 1) * 5 * _DAY
        for place in (
            f"revisions/sha256/{digest}", f"tags/{tag}/current", f"tags/{tag}/index/sha256/{digest}"
        ):  # fmt: skip
            self._link(f"{name}/_manifests/{place}", digest, at)

    def _blob(self, digest: str, content: bytes, size: int) -> None:
        data = self._v2 / "blobs" / "sha256" / digest[:2] / digest / "data"
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_bytes(content)
        os.truncate(data, size)

    def _link(self, place: str, digest: str, at: float | None = None) -> None:
        link = self._v2 / "repositories" / place / "link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(f"sha256:{digest}")
        if at is not None:
            os.utime(link, (at, at))
