"""Restoring images from the trash after tags were pushed again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from collector_process import CollectorAtWork, nginx_that_holds
from stored_registry import StoredRegistry

from moorage.images.sweep import V2, sweeps
from moorage.images.trash import TrashedRun, read_trash
from templates.load import shell_script


@pytest.fixture
def registry(tmp_path: Path) -> StoredRegistry:
    registry = StoredRegistry(tmp_path / "images")
    for content, tag in ((b"one", "v1"), (b"two", "v2")):
        registry.image("app", [registry.blob("app", content)], tag)
    registry.image("other", [registry.blob("other", b"other")], "v1")
    time.sleep(0.05)
    return registry


@pytest.fixture
def server(tmp_path: Path, registry: StoredRegistry) -> Iterator[CollectorAtWork]:
    server = CollectorAtWork(tmp_path / "server", registry.root)
    with nginx_that_holds(server.folder / "web"):
        yield server


def run(server: CollectorAtWork, action: str, **task: object) -> tuple[dict[str, int], list[str]]:
    """Run to success; returns the numbers and the warnings."""
    (status, *_), log = server.run(action=action, **task)
    assert status == "done", log
    lines = [line.split("\t") for line in log.splitlines()]
    numbers = {line[1]: int(line[2]) for line in lines if line[0] == "@number"}
    return numbers, [line[1] for line in lines if line[0] == "@warning"]


def digest_of(registry: StoredRegistry, repository: str, tag: str) -> str:
    return registry.read().tree.repositories[repository].tags[tag].digest


def contents(root: Path) -> dict[Path, bytes]:
    files = (path for path in (root / V2).rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files}


def trash_of(registry: StoredRegistry) -> tuple[TrashedRun, ...]:
    completed = subprocess.run(
        ["sh", "-c", shell_script("trash.sh")], input=f"{registry.root}\n".encode(),
        capture_output=True, check=True,
    )  # fmt: skip
    return read_trash(completed.stdout)


def push_again(registry: StoredRegistry, tag: str) -> str:
    pushed = registry.image("app", [registry.blob("app", b"again")], tag)
    time.sleep(0.05)
    return str(pushed["digest"])


@pytest.mark.parametrize("chosen", [("app", "v1", ""), None])
def test_a_tag_that_was_pushed_again_stays_and_is_named(
    registry: StoredRegistry, server: CollectorAtWork, chosen: tuple[str, str, str] | None
) -> None:
    deleted = digest_of(registry, "app", "v1")
    assert run(server, "delete", tags=[("app", "v1", deleted)])[0]["tags"] == 1
    assert deleted not in registry.read().tree.repositories["app"].manifests
    again = push_again(registry, "v1")
    numbers, warnings = run(server, "restore", tags=[chosen] if chosen else [])
    assert numbers["kept_tags"] == 1
    [warning] = warnings
    assert "app:v1 was pushed again" in warning
    assert warning.endswith(f"app@{deleted}")
    assert digest_of(registry, "app", "v1") == again
    assert deleted in registry.read().tree.repositories["app"].manifests


def test_tags_of_a_repository_that_was_pushed_again_stay_and_are_named(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    deleted = {tag: digest_of(registry, "app", tag) for tag in ("v1", "v2")}
    numbers, _ = run(server, "delete", repositories=["app"])
    assert numbers["repositories"] == 1
    assert numbers["tags"] == 2
    again = push_again(registry, "v2")
    numbers, warnings = run(server, "restore", repositories=["app"])
    assert numbers["kept_tags"] == 1
    assert [warning.partition(" ")[0] for warning in warnings] == ["app:v2"]
    assert digest_of(registry, "app", "v1") == deleted["v1"]
    assert digest_of(registry, "app", "v2") == again
    assert set(registry.read().tree.repositories["app"].manifests) == {*deleted.values(), again}


def test_the_same_image_pushed_again_is_restored(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    before = registry.read().tree.repositories["app"]
    run(server, "delete", tags=[("app", "v1", before.tags["v1"].digest)])
    registry.image("app", [registry.blob("app", b"one")], "v1")
    time.sleep(0.05)
    numbers, warnings = run(server, "restore")
    assert not warnings
    assert numbers["kept_tags"] == 0
    assert set(registry.read().tree.repositories["app"].tags) == set(before.tags)


def test_a_tag_that_was_deleted_twice_gets_its_latest_image(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    run(server, "delete", tags=[("app", "v1", digest_of(registry, "app", "v1"))])
    again = push_again(registry, "v1")
    run(server, "delete", tags=[("app", "v1", again)])
    numbers, warnings = run(server, "restore", tags=[("app", "v1", "")])
    assert not warnings
    assert numbers["kept_tags"] == 0
    assert digest_of(registry, "app", "v1") == again


def test_one_tag_of_a_deleted_repository_is_restored(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    registry.image("app", [registry.blob_by_sha512("app", b"odd")], "odd")
    child = registry.image("app", [registry.blob("app", b"child")])
    registry.index("app", [child], "all")
    time.sleep(0.05)
    before = contents(registry.root)
    needed = {tag: digest_of(registry, "app", tag) for tag in ("all", "odd")}
    run(server, "delete", repositories=["app"])
    [trash] = trash_of(registry)
    assert {tag for _, tag in trash.tags} == {"v1", "v2", "odd", "all"}
    assert trash.repositories == ("app",)
    run(server, "collect")
    assert "app" not in registry.read().tree.repositories

    run(server, "restore", tags=[("app", "odd", ""), ("app", "all", "")])
    stored = registry.read()
    app = stored.tree.repositories["app"]
    assert app.tags.keys() == {"odd", "all"}
    assert app.manifests.keys() == {*needed.values(), child["digest"]}
    for digest in (needed["odd"], child["digest"]):
        blobs = {part.digest for part in stored.manifests[digest].blobs}
        assert blobs <= app.blobs.keys() & stored.tree.blobs.keys()
    assert {tag for each in trash_of(registry) for _, tag in each.tags} == {"v1", "v2"}

    again = push_again(registry, "v1")
    numbers, [warning] = run(server, "restore", tags=[("app", "v1", "")])
    assert numbers["kept_tags"] == 1
    assert "app:v1 was pushed again" in warning
    assert digest_of(registry, "app", "v1") == again
    (status, code, *_), _ = server.run(action="restore", tags=[("app", "none", "")])
    assert (status, code) == ("failed", "images_not_in_trash")
    run(server, "restore", repositories=["app"])
    run(server, "restore")
    assert (
        contents(registry.root).items()
        >= {
            path: content for path, content in before.items() if "/tags/v1/" not in str(path)
        }.items()
    )


def test_the_trash_is_gone_after_everything_was_restored(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    run(server, "delete", repositories=["app"])
    run(server, "restore")
    assert not sweeps(registry.root)
