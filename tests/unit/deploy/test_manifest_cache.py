"""Manifests that are kept between readings of a registry."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stored_registry import StoredRegistry

from moorage.deploy.images.manifest_cache import MOST_STORES, keep_manifests, load_manifests
from moorage.deploy.plan.store import Store
from moorage.images.manifests import Manifest

STORE = Store("one.example.test", "/srv/registry")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's state folder."""
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path / "state"))
    return tmp_path / "state" / "manifests"


@pytest.fixture
def manifests(tmp_path: Path) -> dict[str, Manifest]:
    """An image, an index with an attestation, and an artifact with a subject."""
    registry = StoredRegistry(tmp_path / "images")
    image = registry.image("app", [registry.blob("app", b"1")], "v1", annotations={"a": "b"})
    about = {"annotations": {"vnd.docker.reference.digest": image["digest"]}}
    platform = {"platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}
    registry.index("app", [image | platform, registry.image("app", []) | about], "v2")
    remote = registry.blob("app", b"2") | {"urls": ["https://example.com/2"]}
    registry.image("app", [remote], subject=image, artifactType="application/x")
    return registry.read().manifests


def test_they_are_the_same_afterwards(state: Path, manifests: dict[str, Manifest]) -> None:
    assert load_manifests(STORE) == {}
    keep_manifests(STORE, manifests, {})

    assert load_manifests(STORE) == manifests
    assert load_manifests(Store("two.example.test", "/srv/registry")) == {}
    [file] = state.iterdir()
    assert (state.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_they_are_written_only_when_there_are_others(
    state: Path, manifests: dict[str, Manifest]
) -> None:
    keep_manifests(STORE, manifests, manifests)
    assert not state.exists()
    keep_manifests(STORE, {}, manifests)
    assert load_manifests(STORE) == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"\xff", b'{"version": 2, "manifests": []}', b"[" * 100_000,
     b'{"version": 1, "manifests": [[1]]}', b'{"version": 1, "manifests": 7}'],
)  # fmt: skip
def test_a_damaged_file_is_ignored(
    state: Path, manifests: dict[str, Manifest], content: bytes
) -> None:
    keep_manifests(STORE, manifests, {})
    [file] = state.iterdir()
    file.write_bytes(content)
    assert load_manifests(STORE) == {}


def test_old_stores_are_forgotten(state: Path, manifests: dict[str, Manifest]) -> None:
    for number in range(MOST_STORES + 3):
        store = Store(f"{number}.example.test", "/srv/registry")
        keep_manifests(store, manifests, {})
        for file in state.iterdir():
            os.utime(file, (file.stat().st_mtime - 10, file.stat().st_mtime - 10))
    assert len(list(state.iterdir())) == MOST_STORES
    assert load_manifests(Store("0.example.test", "/srv/registry")) == {}


def test_a_folder_that_cannot_be_written_is_no_error(
    state: Path, manifests: dict[str, Manifest]
) -> None:
    state.parent.mkdir()
    state.write_text("in the way")
    keep_manifests(STORE, manifests, {})
    assert load_manifests(STORE) == {}
