"""A small registry on disk, with what people push and what they should not."""

from __future__ import annotations

import json
import os
from pathlib import Path

from stored_registry import StoredRegistry

HOSTILE_TAGS = ("[bold red]markup", "esc\x1b]0;title\x07", "日本語のタグ", "two\nlines", "\udcff")
"""Tags that the registry would refuse, but that anybody with the disk can create."""


def sample_images(root: Path) -> StoredRegistry:
    """Store images: shared layers, several platforms, a missing layer, hostile names, checks.

    Args:
        root: The storage's root folder.
    """
    registry = StoredRegistry(root)
    base = registry.blob("team-a/app", os.urandom(300_000))
    for number in range(12):
        layer = registry.blob("team-a/app", os.urandom(20_000 * (number + 1)))
        tags = ["latest", "stable"] if number == 11 else []
        registry.image("team-a/app", [base, layer], f"v1.{number}", *tags)
    for number in range(3):
        layer = registry.blob(f"team-b/service-{number}", os.urandom(1_000 * (number + 1)))
        registry.image(f"team-b/service-{number}", [base, layer], "v2")
    registry.image("team-b/service-2", [base], "v3", config=_config(registry))
    children = []
    for architecture in ("amd64", "arm64"):
        layer = registry.blob("multi/arch", os.urandom(90_000))
        child = registry.image("multi/arch", [layer])
        children.append(child | {"platform": {"os": "linux", "architecture": architecture}})
    index = registry.index("multi/arch", children, "1.0")
    registry.image("multi/arch", [registry.blob("multi/arch", b"signed")], subject=index,
                   artifactType="application/vnd.example.signature")  # fmt: skip
    lost = registry.blob("broken/one", b"lost")
    registry.image("broken/one", [lost], "bad")
    value = lost["digest"].partition(":")[2]
    (registry.v2 / f"blobs/sha256/{value[:2]}/{value}/data").unlink()
    registry.image("odd/names", [base], *HOSTILE_TAGS)
    registry.image("moorage-verify", [registry.blob("moorage-verify", b"check")], "check")
    return registry


def _config(registry: StoredRegistry) -> dict[str, object]:
    steps = [
        {"created": "2026-11-01T10:00:00Z", "created_by": "ADD rootfs.tar.xz / # buildkit"},
        {"created_by": "ENV GREETING=\x1b[31mhello", "empty_layer": True},
    ]
    content = {
        "os": "linux", "architecture": "riscv64", "created": "2026-11-01T10:00:00Z",
        "config": {
            "Labels": {"org.opencontainers.image.source": "https://example.com/[bold]"},
            "Entrypoint": ["/bin/serve"], "Cmd": ["--port", "8080"], "Env": ["PATH=/bin"],
            "ExposedPorts": {"8080/tcp": {}}, "User": "app", "WorkingDir": "/srv",
        },
        "history": steps,
    }  # fmt: skip
    stored = registry.blob("team-b/service-2", json.dumps(content).encode())
    return stored | {"mediaType": "application/vnd.oci.image.config.v1+json"}
