"""A client that pushes and pulls whole images as Docker does: asks, mounts, uploads."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from traffic import retry_once

from moorage.deploy.verify.registry_client import Answer, RegistryClient

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest_of(content: bytes) -> str:
    """Return the digest of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class ImageClient:
    """Pushes and pulls images.

    Attributes:
        client: Sends the requests.
        waits: How long each request that writes took, in seconds.
    """

    client: RegistryClient
    waits: list[float] = field(default_factory=list)

    def push(
        self, repository: str, tag: str, layers: Sequence[bytes], source: str = "", **more: Any
    ) -> dict[str, Any]:
        """Push an image, mounting its layers from another repository if one is given."""
        config = json.dumps({"layers": [digest_of(layer) for layer in layers]}).encode()
        parts = [self.blob(repository, layer, source) for layer in layers]
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": parts,
            "config": {**self.blob(repository, config), "mediaType": CONFIG}, **more,
        }  # fmt: skip
        return self.manifest(repository, tag, manifest)

    def index(
        self, repository: str, tag: str, children: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """Push an index."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children)}
        return self.manifest(repository, tag, index)

    def manifest(self, repository: str, tag: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Push a manifest; returns its descriptor. An empty tag pushes it by digest."""
        content = json.dumps(manifest).encode()
        reference = tag or digest_of(content)
        headers = {"Content-Type": manifest["mediaType"]}
        path = f"/v2/{repository}/manifests/{reference}"
        self._ask("PUT", path, 201, body=content, headers=headers)
        return {
            "mediaType": manifest["mediaType"], "digest": digest_of(content), "size": len(content)
        }  # fmt: skip

    def blob(self, repository: str, content: bytes, source: str = "") -> dict[str, Any]:
        """Push a layer unless it is there; returns its descriptor."""
        digest = digest_of(content)
        described = {"mediaType": LAYER, "digest": digest, "size": len(content)}
        if self.has_blob(repository, digest):
            return described
        path = f"/v2/{repository}/blobs/uploads/"
        if source:
            path += f"?mount={digest.replace(':', '%3A')}&from={source.replace('/', '%2F')}"
        begun = self._ask("POST", path, 201, 202)
        if begun.status == 202:
            location = begun.header("Location") or ""
            began = time.monotonic()
            done = retry_once(lambda: self.client.put_blob(location, content, digest))
            self.waits.append(time.monotonic() - began)
            assert done.status == 201, done
        return described

    def has_blob(self, repository: str, digest: str) -> bool:
        """Return whether the registry says that it has a layer."""
        return self._ask("HEAD", f"/v2/{repository}/blobs/{digest}", 200, 404).status == 200

    def pull(self, repository: str, reference: str) -> dict[str, bytes]:
        """Pull an image, or all images of an index; returns all content by digest."""
        accept = {"Accept": f"{MANIFEST}, {INDEX}"}
        path = f"/v2/{repository}/manifests/{reference}"
        content = self._ask("GET", path, 200, headers=accept).body
        found = {digest_of(content): content}
        manifest = json.loads(content)
        for child in manifest.get("manifests", ()):
            found |= self.pull(repository, child["digest"])
        for part in (*manifest.get("layers", ()), *filter(None, [manifest.get("config")])):
            layer = self._ask("GET", f"/v2/{repository}/blobs/{part['digest']}", 200).body
            assert digest_of(layer) == part["digest"]
            found[part["digest"]] = layer
        return found

    def status(self, method: str, path: str) -> int:
        """Return the status of a request without a body."""
        return self.client.request(method, path, headers={"Accept": f"{MANIFEST}, {INDEX}"}).status

    def catalog(self) -> list[str]:
        """Return the repositories that the registry lists."""
        answer = self._ask("GET", "/v2/_catalog", 200)
        return list(json.loads(answer.body)["repositories"])

    def _ask(self, method: str, path: str, *expected: int, **more: Any) -> Answer:
        began = time.monotonic()
        answer = retry_once(partial(self.client.request, method, path, **more))
        if method in {"POST", "PUT"}:
            self.waits.append(time.monotonic() - began)
        assert answer.status in expected, answer
        return answer
