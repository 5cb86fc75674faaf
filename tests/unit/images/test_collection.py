"""Collecting a registry's storage on disk: what is alive stays, byte for byte."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest
from stored_registry import StoredRegistry

from moorage.images.alive import Limits
from moorage.images.collection import (
    CHECK_LAYER,
    VERIFY,
    NothingAliveError,
    plan_collection,
)
from moorage.images.read import Stored
from moorage.images.sweep import Sweep
from moorage.images.usage import measure

DAY = 24 * 3600.0


def in_future(**more: object) -> Limits:
    """Limits for which everything that was just written is old. Nobody can set a ctime."""
    now = time.time() + 100 * DAY
    return Limits(now, known_since=now - 60 * DAY, **more)  # type: ignore[arg-type]


def collect(registry: StoredRegistry, limits: Limits, *removed: tuple[str, str]) -> int:
    for repository, tag in removed:
        shutil.rmtree(registry.v2 / "repositories" / repository / "_manifests/tags" / tag)
    collection = plan_collection(registry.read(), limits)
    before = sum(file.stat().st_size for file in registry.v2.glob("blobs/*/*/*/data"))
    sweep = Sweep(registry.root, "run1")
    sweep.prepare(collection.entries)
    sweep.move(set(), float("inf"))
    sweep.purge()
    after = sum(file.stat().st_size for file in registry.v2.glob("blobs/*/*/*/data"))
    assert before - after == collection.freed
    return collection.freed


def test_a_removed_tag_gives_its_space_back(tmp_path: Path) -> None:
    registry = StoredRegistry(tmp_path)
    shared = registry.blob("app", b"s" * 1000)
    registry.image("app", [shared, registry.blob("app", b"1" * 500)], "v1")
    registry.image("app", [shared, registry.blob("app", b"2" * 500)], "v2")
    [v1, _] = measure(registry.read()).repositories[0].tags

    freed = collect(registry, in_future(), ("app", "v1"))

    assert freed == v1.own_size > 500
    usage = measure(registry.read())
    assert [tag.name for tag in usage.repositories[0].tags] == ["v2"]
    assert usage.repositories[0].tags[0].missing == ()
    assert usage.size == usage.tagged_size
    assert plan_collection(registry.read(), in_future()).is_empty


def test_children_referrers_and_signatures_follow_their_image(tmp_path: Path) -> None:
    registry = StoredRegistry(tmp_path)
    for tag in ("v1", "v2"):
        children = [
            registry.image("app", [registry.blob("app", f"{tag}{arch}".encode())])
            for arch in ("amd64", "arm64")
        ]
        index = registry.index("app", [registry.index("app", children), *children], tag)
        subject = {
            "mediaType": index["mediaType"],
            "digest": index["digest"],
            "size": index["size"],
        }
        registry.image("app", [registry.blob("app", f"sbom{tag}".encode())], subject=subject)
        about = index["digest"].replace(":", "-")
        registry.image("app", [registry.blob("app", f"sig{tag}".encode())], f"{about}.sig")

    collect(registry, in_future(), ("app", "v1"))

    stored = registry.read()
    tree = stored.tree.repositories["app"]
    # Two images, two indexes, what is about the outer one, and its signature.
    assert len(tree.manifests) == 6
    assert len(tree.tags) == 2
    assert "v2" in tree.tags
    assert stored.unreadable == {}
    assert len(stored.tree.blobs) == 6 + len(tree.blobs)


def test_what_is_young_stays(tmp_path: Path) -> None:
    registry = StoredRegistry(tmp_path)
    registry.blob("app", b"uploaded, and its manifest comes later")
    registry.image("app", [registry.blob("app", b"1")])
    now = Limits(time.time(), known_since=0, takes_untagged=True)
    assert plan_collection(registry.read(), now).is_empty
    with pytest.raises(NothingAliveError):
        plan_collection(registry.read(), in_future())


def _check(registry: StoredRegistry, *, is_deleted: bool = True) -> None:
    """Leave what a check leaves: its content, and folders without links."""
    layer = registry.blob(VERIFY, random.randbytes(CHECK_LAYER))
    registry.image(VERIFY, [layer], *(() if is_deleted else ("check",)))
    for link in (registry.v2 / "repositories" / VERIFY).rglob("link") if is_deleted else ():
        link.unlink()


def test_what_checks_leave_goes_even_if_nothing_else_is_stored(tmp_path: Path) -> None:
    registry = StoredRegistry(tmp_path)
    assert plan_collection(Stored(), in_future()).is_empty
    _check(registry)
    _check(registry)
    assert VERIFY not in registry.read().tree.repositories
    assert plan_collection(registry.read(), in_future()).removes_checks

    collect(registry, in_future())

    assert not registry.read().tree.blobs
    assert not list((registry.v2 / "repositories" / VERIFY).glob("_*"))
    assert plan_collection(registry.read(), in_future()).is_empty


@pytest.mark.parametrize("size", [CHECK_LAYER - 1, CHECK_LAYER * 2])
def test_content_without_its_repositories_does_not_go_with_what_checks_leave(
    tmp_path: Path, size: int
) -> None:
    registry = StoredRegistry(tmp_path)
    _check(registry)
    registry.image("app", [registry.blob("app", random.randbytes(size))], "v1")
    shutil.rmtree(registry.v2 / "repositories/app")

    with pytest.raises(NothingAliveError):
        plan_collection(registry.read(), in_future())


@pytest.mark.parametrize("in_progress", ["upload", "image"])
def test_a_check_in_progress_stays(tmp_path: Path, in_progress: str) -> None:
    registry = StoredRegistry(tmp_path)
    _check(registry)
    if in_progress == "image":
        _check(registry, is_deleted=False)
    else:
        registry.write(f"repositories/{VERIFY}/_uploads/1234/startedat")

    collect(registry, in_future())

    after = registry.read().tree
    assert len(after.blobs) == (3 if in_progress == "image" else 0)
    assert VERIFY in after.repositories


def test_a_damaged_manifest_keeps_its_repository(tmp_path: Path) -> None:
    registry = StoredRegistry(tmp_path)
    registry.image("damaged", [registry.blob("damaged", b"1")])
    registry.image("damaged", [registry.blob("damaged", b"2")], "v1")
    registry.image("sound", [registry.blob("sound", b"3")], "v1")
    old = registry.image("sound", [registry.blob("sound", b"4")])
    odd = registry.manifest("damaged", {"mediaType": "application/vnd.example.unknown"})
    # A signature of an image that goes.
    registry.image("damaged", [], f"{old['digest'].replace(':', '-')}.sig")

    collection = plan_collection(registry.read(), in_future())

    assert dict(collection.unreadable) == {
        "damaged": ((odd["digest"], "its media type is unknown"),)
    }
    assert collection.manifests == 1
    assert any(entry.digest == old["digest"] for entry in collection.entries)
    assert not any("/damaged/" in entry.path for entry in collection.entries)


@pytest.mark.parametrize("seed", range(5))
def test_generated_registries_keep_what_is_alive(tmp_path: Path, seed: int) -> None:
    registry, chance = StoredRegistry(tmp_path), random.Random(seed)
    for name in ("a", "b/c", "d"):
        layers = [registry.blob(name, chance.randbytes(50)) for _ in range(6)]
        images = [registry.image(name, chance.sample(layers, 2)) for _ in range(6)]
        for number in range(4):
            registry.index(name, chance.sample(images, 2), f"i{number}")
            registry.image(name, chance.sample(layers, 3), f"t{chance.randrange(3)}")
    stored = registry.read()
    tags = [(name, tag) for name, each in stored.tree.repositories.items() for tag in each.tags]
    removed = chance.sample(tags, 8)
    expected = {
        (each.repository, each.name): (each.digest, each.size)
        for repository in measure(stored).repositories
        for each in repository.tags
        if (each.repository, each.name) not in removed
    }

    collect(registry, in_future(), *removed)

    after = registry.read()
    usage = measure(after)
    assert after.unreadable == {}
    assert expected == {
        (each.repository, each.name): (each.digest, each.size)
        for repository in usage.repositories
        for each in repository.tags
    }
    assert not any(each.missing for repository in usage.repositories for each in repository.tags)
    assert usage.size == usage.tagged_size
