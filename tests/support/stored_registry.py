"""Build a registry's storage on disk, file by file, as the registry writes it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moorage.images.manifests import Manifest
from moorage.images.read import Stored, read_stored
from templates.load import shell_script

OCI = "application/vnd.oci.image"


@dataclass
class StoredRegistry:
    """A registry's storage below a folder."""

    root: Path

    @property
    def v2(self) -> Path:
        return self.root / "docker/registry/v2"

    def write(self, path: str, content: bytes = b"x", *, at: float | None = None) -> Path:
        file = self.v2 / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if at is not None:
            os.utime(file, (at, at))
        return file

    def blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Store a layer or configuration; returns its descriptor."""
        digest = self._content(content)
        self._link(f"{repository}/_layers", digest)
        return {"mediaType": f"{OCI}.layer.v1.tar", "digest": digest, "size": len(content)}

    def blob_by_sha512(self, repository: str, content: bytes) -> dict[str, Any]:
        """Store a layer that a client names by its sha512 digest; returns its descriptor."""
        described = self.blob(repository, content)
        value = hashlib.sha512(content).hexdigest()
        self.write(
            f"repositories/{repository}/_layers/sha512/{value}/link", described["digest"].encode()
        )
        return {**described, "digest": f"sha512:{value}"}

    def image(
        self, repository: str, layers: Sequence[dict[str, Any]], *tags: str, **more: Any
    ) -> dict[str, Any]:
        config = self.blob(
            repository, json.dumps({"of": [each["digest"] for each in layers]}).encode()
        )
        return self.manifest(repository, {
            "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": [*layers], **more,
        }, *tags)  # fmt: skip

    def index(
        self, repository: str, children: Sequence[dict[str, Any]], *tags: str
    ) -> dict[str, Any]:
        return self.manifest(
            repository, {"mediaType": f"{OCI}.index.v1+json", "manifests": list(children)}, *tags
        )

    def manifest(self, repository: str, parsed: dict[str, Any], *tags: str) -> dict[str, Any]:
        content = json.dumps({"schemaVersion": 2, **parsed}).encode()
        digest = self._content(content)
        self._link(f"{repository}/_manifests/revisions", digest)
        for tag in tags:
            self._link(f"{repository}/_manifests/tags/{tag}/index", digest)
            self.write(
                f"repositories/{repository}/_manifests/tags/{tag}/current/link", digest.encode()
            )
        return {"mediaType": parsed["mediaType"], "digest": digest, "size": len(content)}

    def read(self, known: dict[str, Manifest] | None = None) -> Stored:
        """Read it as a server does."""
        known = known or {}
        told = "".join(f"{digest.partition(':')[2]}\n" for digest in sorted(known))
        completed = subprocess.run(
            ["sh", "-c", shell_script("images.sh")],
            input=f"{self.root}\n{told}".encode(), capture_output=True, check=True,
        )  # fmt: skip
        return read_stored(completed.stdout, known)

    def _content(self, content: bytes) -> str:
        value = hashlib.sha256(content).hexdigest()
        self.write(f"blobs/sha256/{value[:2]}/{value}/data", content)
        return f"sha256:{value}"

    def _link(self, folder: str, digest: str) -> None:
        self.write(f"repositories/{folder}/{digest.replace(':', '/')}/link", digest.encode())
