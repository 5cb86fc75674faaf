"""A registry on a port of this machine, and an image in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry_process import registry_process
from waiting import wait_until

from lab.services import free_port
from moorage.deploy.verify.check_results import digest_of, expect
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.errors import MoorageError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = b"a layer"


@contextmanager
def running(program: Path, host: str, folder: Path, **settings: Any) -> Iterator[RegistryClient]:
    """Run a registry on a port of its own; yield a client of it."""
    port = free_port(host)
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": f"{host}:{port}"},
    }
    config["storage"] |= settings.pop("storage", {})
    client = RegistryClient(host, port, host, tls=False)

    def answers() -> bool:
        try:
            return client.request("GET", "/v2/").status == 200
        except MoorageError:
            return False

    with registry_process(program, json.dumps(config | settings), folder):
        wait_until(answers)
        yield client


def push(client: RegistryClient, repository: str, tag: str) -> None:
    """Push an image for two platforms."""
    base = f"/v2/{repository}"

    def blob(content: bytes) -> dict[str, object]:
        location = expect(client.request("POST", f"{base}/blobs/uploads/"), 202).header("Location")
        expect(client.put_blob(location or "", content, digest_of(content)), 201)
        return {"digest": digest_of(content), "size": len(content)}

    def manifest(reference: str, media_type: str, document: dict[str, object]) -> dict[str, object]:
        body = json.dumps({"schemaVersion": 2, "mediaType": media_type, **document}).encode()
        path = f"{base}/manifests/{reference or digest_of(body)}"
        expect(client.request("PUT", path, body=body, headers={"Content-Type": media_type}), 201)
        return {"mediaType": media_type, "digest": digest_of(body), "size": len(body)}

    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", **blob(LAYER)}
    images = []
    for architecture in ("amd64", "arm64"):
        described = blob(json.dumps({"architecture": architecture, "os": "linux"}).encode())
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **described}
        image = manifest("", MANIFEST, {"config": config, "layers": [layer]})
        images.append(image | {"platform": {"architecture": architecture, "os": "linux"}})
    manifest(tag, INDEX, {"manifests": images})
