"""The space that can be freed, on a disk and in a bucket."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from stored_registry import StoredRegistry

from moorage.answers.model_retention import Collect
from moorage.deploy.images.activity import Activity
from moorage.deploy.images.read import ImagesRead
from moorage.deploy.images.rows import kept_untagged_text
from moorage.deploy.images.space import Space, find_reclaimable
from moorage.deploy.plan.store import Store
from moorage.images.retention import Pulls
from moorage.images.space import Kind, Reclaimable, space_parts
from moorage.images.sweep import Entry
from moorage.images.trash import TrashedRun
from moorage.images.usage import measure
from moorage.servers.facts import Facts
from moorage.units import date_text

DAY = 24 * 3600.0
NOW = time.time() + 100 * DAY
"""A time at which everything that was just written is old. Nobody can set a ctime."""


def read_of(registry: StoredRegistry, *, is_bucket: bool = False) -> ImagesRead:
    bucket = cast(Any, object()) if is_bucket else None
    store = Store("alpha", "/images")
    return ImagesRead("registry", store, registry.read(), NOW, Facts("alpha"), bucket=bucket)


def pulls_known_for(days: float) -> Activity:
    return cast(Activity, SimpleNamespace(pulls=Pulls({}, NOW - days * DAY)))


def content(digest: str, size: int) -> Entry:
    value = digest.partition(":")[2]
    return Entry(f"blobs/sha256/{value[:2]}/{value}/data", digest, size)


def sizes(registry: StoredRegistry, found: Reclaimable) -> dict[Kind, int]:
    return {part.kind: part.size for part in space_parts(measure(registry.read()), found, None)}


@pytest.fixture
def registry(tmp_path: Path) -> StoredRegistry:
    """An image, and two blobs that nothing needs."""
    registry = StoredRegistry(tmp_path)
    registry.image("app", [registry.blob("app", b"l" * 1000)], "v1")
    registry.blob("app", b"1" * 500)
    registry.blob("app", b"2" * 300)
    return registry


def blob_of(registry: StoredRegistry, size: int) -> str:
    blobs = registry.read().tree.blobs.items()
    return next(digest for digest, file in blobs if file.size == size)


def test_on_a_disk_the_trash_is_beside_the_images(registry: StoredRegistry) -> None:
    trash = [TrashedRun("run1", 0.0, True, (content("sha256:" + "a" * 64, 70),))]
    found = find_reclaimable(read_of(registry), pulls_known_for(60), trash, Collect())
    assert found == Reclaimable(collectable=800, trash=70)
    usage = measure(registry.read())
    shown = sizes(registry, found)
    assert shown[Kind.TRASH] == 70
    assert sum(shown.values()) == usage.size + 70


def test_in_a_bucket_the_trash_is_among_the_images(registry: StoredRegistry) -> None:
    read = read_of(registry, is_bucket=True)
    # The layer of v1 was pushed again after it had been collected.
    listed = [(blob_of(registry, 500), 500), (blob_of(registry, 1000), 1000)]
    entries = tuple(content(*each) for each in listed)
    trash = [TrashedRun("run1", 0.0, True, entries)]
    found = find_reclaimable(read, pulls_known_for(60), trash, Collect())
    assert found == Reclaimable(collectable=300, trash=500, is_trash_stored=True)
    shown = sizes(registry, found)
    assert (shown[Kind.COLLECTABLE], shown[Kind.TRASH]) == (300, 500)
    assert sum(shown.values()) == measure(registry.read()).size
    assert Kind.UNTAGGED not in shown
    # What is not known is not shown, rather than counted twice.
    assert find_reclaimable(read, pulls_known_for(60), None, Collect()) == Reclaimable()


def test_the_limits_are_those_of_the_answers(registry: StoredRegistry) -> None:
    settings = Collect(young="200d")
    found = find_reclaimable(read_of(registry), pulls_known_for(60), (), settings)
    assert found.collectable == 0


def test_untagged_images_say_until_when_they_stay(registry: StoredRegistry) -> None:
    registry.image("app", [])
    found = find_reclaimable(read_of(registry), pulls_known_for(10), (), Collect(untagged="15d"))
    assert found.kept_untagged == 1
    assert found.kept_until == pytest.approx(NOW + 5 * DAY)
    text = kept_untagged_text(found.kept_untagged, found.kept_until)
    assert "1 manifest without a tag stays" in text
    assert f"It can be collected from {date_text(NOW + 5 * DAY)} on" in text
    shown = Space(read_of(registry), measure(registry.read()), (), found).text
    assert shown.endswith(text)
    unknown = find_reclaimable(read_of(registry), Activity(), (), Collect())
    assert (unknown.kept_untagged, unknown.kept_until) == (1, None)
    assert "can be collected" not in kept_untagged_text(1, None)
    later = find_reclaimable(read_of(registry), pulls_known_for(40), (), Collect())
    assert (later.kept_untagged, later.kept_until) == (0, None)
    assert kept_untagged_text(0, None) == ""
