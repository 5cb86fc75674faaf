"""Manifests that were read earlier, kept in the state folder: they never change.

Reading a registry again then transfers what is new only. Which of them count is decided by the
registry's files, and nothing is removed by what is kept here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage.deploy.plan.store import Store
from moorage.images.manifests import Descriptor, Manifest
from moorage.state import private_folder, write_private

MOST_MANIFESTS = 100_000
"""Manifests that are kept for one store."""
MOST_STORES = 20
"""Stores of which manifests are kept: those that were read last."""
_LARGEST = 256 * 1024**2
_VERSION = 1


def load_manifests(store: Store) -> dict[str, Manifest]:
    """Return the manifests that are kept for a store, by digest.

    Args:
        store: The store.
    """
    try:
        path = _path(store)
        if path.stat().st_size > _LARGEST:
            return {}
        kept = json.loads(path.read_bytes())
        if kept["version"] != _VERSION:
            return {}
        return {values[0]: _manifest(values) for values in kept["manifests"]}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}


def keep_manifests(
    store: Store, manifests: Mapping[str, Manifest], known: Mapping[str, Manifest]
) -> None:
    """Keep the manifests of a store, unless they are the known ones.

    Args:
        store: The store.
        manifests: By digest.
        known: Those that are kept.
    """
    if manifests.keys() == known.keys() or len(manifests) > MOST_MANIFESTS:
        return
    kept = {"version": _VERSION, "manifests": [_values(each) for each in manifests.values()]}
    content = json.dumps(kept, separators=(",", ":")).encode()
    # It can be read again, so a full disk is no reason to fail.
    with contextlib.suppress(OSError):
        path = _path(store)
        write_private(path, content)
        files = sorted(path.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)
        for old in files[:-MOST_STORES]:
            old.unlink(missing_ok=True)


def _path(store: Store) -> Path:
    parts = (store.server, store.folder, store.bucket, store.endpoint)
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return private_folder("manifests") / f"{name}.json"


def _values(manifest: Manifest) -> list[Any]:
    return [
        manifest.digest,
        manifest.media_type,
        manifest.size,
        None if manifest.config is None else _parts(manifest.config),
        [_parts(each) for each in manifest.layers],
        [_parts(each) for each in manifest.children],
        manifest.subject,
        manifest.artifact_type,
        manifest.annotations,
    ]


def _parts(each: Descriptor) -> list[Any]:
    return [each.digest, each.size, each.media_type, each.platform, each.is_remote, each.about]


def _manifest(values: list[Any]) -> Manifest:
    digest, media_type, size, config, layers, children, subject, artifact_type, annotations = values
    return Manifest(
        digest,
        media_type,
        size,
        None if config is None else Descriptor(*config),
        tuple(Descriptor(*each) for each in layers),
        tuple(Descriptor(*each) for each in children),
        subject,
        artifact_type,
        annotations,
    )
