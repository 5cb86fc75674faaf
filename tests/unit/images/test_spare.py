"""What is pushed after a plan was made stays, with everything it needs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from stored_registry import OCI, StoredRegistry

from moorage.images.alive import Limits
from moorage.images.collection import plan_collection, plan_deletion
from moorage.images.spare import Watch, empty_folders, find_spared
from moorage.images.sweep import Entry, Sweep, clock

LATER = 1e18
"""A deadline that never passes."""


@pytest.fixture(autouse=True)
def exact_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("alive", "spare"):
        monkeypatch.setattr(f"moorage.images.{module}.CLOCK_STEP", 0.01)


class Planned:
    """A registry with an image in use and dead ones, and the plan to move these."""

    def __init__(self, root: Path) -> None:
        self.registry = registry = StoredRegistry(root)
        registry.image("app", [registry.blob("app", b"used")], "v1")
        self.layer = registry.blob("app", b"layer")
        self.image = registry.image("app", [self.layer])
        self.index = registry.index("app", [self.image])
        self.signed = registry.image("app", [registry.blob("app", b"signed")])
        self.signature = registry.manifest(
            "app",
            {"mediaType": f"{OCI}.manifest.v1+json", "config": registry.blob("app", b"sign"),
             "layers": [], "subject": self.signed},
        )  # fmt: skip
        self.about = f"sha256-{self.signed['digest'][7:]}.sig"
        registry.image("app", [registry.blob("app", b"cosign")], self.about)
        registry.image("other", [registry.blob("other", b"more")], "v1")
        self.by_sha512 = registry.blob_by_sha512("app", b"layer")
        # A link that was moved by an earlier run; its folder is left.
        value = self.layer["digest"][7:]
        (registry.v2 / f"repositories/other/_layers/sha256/{value}").mkdir(parents=True)
        self.entries: tuple[Entry, ...] = ()

    def plan(self) -> Watch:
        time.sleep(0.05)
        since = clock(self.registry.root)
        empty = empty_folders(self.registry.root)
        stored = self.registry.read()
        limits = Limits(since, 0.0, takes_untagged=True)
        self.entries = plan_collection(stored, limits).entries
        assert self.layer["digest"] in {entry.digest for entry in self.entries}
        return Watch(self.registry.root, self.entries, stored, since, empty)

    def link(self, repository: str, kind: str, digest: str) -> None:
        self.registry.write(
            f"repositories/{repository}/{kind}/sha256/{digest[7:]}/link", digest.encode()
        )


Push = Callable[[Planned], None]


def _upload(planned: Planned) -> None:
    planned.link("app", "_layers", planned.layer["digest"])


def _mount(planned: Planned) -> None:
    planned.link("new/one", "_layers", planned.layer["digest"])


def _mount_in_known(planned: Planned) -> None:
    planned.link("other", "_layers", planned.layer["digest"])


def _manifest(planned: Planned) -> None:
    """Push a manifest of layers that are there, so that none of them is written again."""
    planned.registry.manifest(
        "app",
        {"mediaType": f"{OCI}.manifest.v1+json", "config": planned.layer,
         "layers": [], "annotations": {"a": "new"}},
    )  # fmt: skip


def _manifest_by_sha512(planned: Planned) -> None:
    planned.registry.manifest(
        "app",
        {"mediaType": f"{OCI}.manifest.v1+json", "config": planned.by_sha512, "layers": []},
    )  # fmt: skip


def _manifest_again(planned: Planned) -> None:
    planned.link("app", "_manifests/revisions", planned.image["digest"])


def _index_again(planned: Planned) -> None:
    planned.link("app", "_manifests/revisions", planned.index["digest"])


@pytest.mark.parametrize(
    "push",
    [
        _upload,
        _mount,
        _mount_in_known,
        _manifest,
        _manifest_by_sha512,
        _manifest_again,
        _index_again,
    ],
)
@pytest.mark.parametrize("moved", [False, True], ids=["before", "while it is moved"])
def test_what_a_push_needs_stays(tmp_path: Path, push: Push, moved: bool) -> None:
    planned = Planned(tmp_path)
    watch = planned.plan()
    assert not find_spared(watch).digests
    sweep = Sweep(tmp_path, "run")
    if moved:
        sweep.prepare([each for each in planned.entries if each.path.startswith("blobs/")])
        sweep.move(set(), LATER)
    push(planned)
    spared = find_spared(watch, done=[sweep] if moved else [])
    assert not spared.everything
    content = [each for each in planned.entries if each.path.startswith("blobs/")]
    assert planned.layer["digest"] in {each.digest for each in content if spared.has(each)}
    # And nothing else of another image.
    assert planned.signed["digest"] not in spared.digests
    if moved:
        sweep.put_back(spared.has)
        value = planned.layer["digest"][7:]
        data = planned.registry.v2 / f"blobs/sha256/{value[:2]}/{value}/data"
        assert data.read_bytes() == b"layer"


def test_signatures_of_what_was_pushed_stay(tmp_path: Path) -> None:
    planned = Planned(tmp_path)
    watch = planned.plan()
    planned.link("app", "_manifests/revisions", planned.signed["digest"])
    spared = find_spared(watch)
    assert planned.signature["digest"] in spared.digests
    assert f"repositories/app/_manifests/tags/{planned.about}" in spared.paths
    assert planned.layer["digest"] not in spared.digests


def test_of_a_manifest_that_cannot_be_read_everything_stays(tmp_path: Path) -> None:
    planned = Planned(tmp_path)
    watch = planned.plan()
    digest = planned.registry.blob("app", json.dumps({"schemaVersion": 1}).encode())["digest"]
    planned.link("app", "_manifests/revisions", digest)
    spared = find_spared(watch)
    assert all(spared.has(each) for each in planned.entries)


def test_a_link_that_was_written_after_it_was_moved_goes_back(tmp_path: Path) -> None:
    """Registry 2.8 opens a link and writes to it, wherever it is by then."""
    planned = Planned(tmp_path)
    watch = planned.plan()
    value = planned.layer["digest"][7:]
    path = f"repositories/app/_layers/sha256/{value}/link"
    with (planned.registry.v2 / path).open("r+b") as opened:
        sweep = Sweep(tmp_path, "run")
        sweep.prepare(planned.entries)
        sweep.move(set(), LATER)
        assert not find_spared(watch, done=[sweep]).digests
        opened.write(planned.layer["digest"].encode())
    sweep.put_back(find_spared(watch, done=[sweep]).has)
    assert (planned.registry.v2 / path).exists()
    assert (planned.registry.v2 / f"blobs/sha256/{value[:2]}/{value}/data").exists()
    assert list(sweep.in_trash())


@pytest.mark.parametrize("what", ["image", "index", "layer", "by_sha512"])
def test_what_a_client_asked_for_stays(tmp_path: Path, what: str) -> None:
    planned = Planned(tmp_path)
    watch = planned.plan()
    asked = {("app", getattr(planned, what)["digest"]), ("other", "v1"), ("none", "x")}
    spared = find_spared(watch, asked=asked)
    assert not spared.everything
    assert planned.layer["digest"] in spared.digests
    assert planned.signed["digest"] not in spared.digests


def test_a_tag_that_a_client_asked_for_stays(tmp_path: Path) -> None:
    planned = Planned(tmp_path)
    watch = planned.plan()
    spared = find_spared(watch, asked={("app", planned.about)})
    assert f"repositories/app/_manifests/tags/{planned.about}" in spared.paths
    target = watch.stored.tree.repositories["app"].tags[planned.about].digest
    assert target in spared.digests


@pytest.mark.parametrize("moved", [False, True], ids=["before", "while it is moved"])
def test_a_repository_in_which_an_upload_begins_is_not_removed(tmp_path: Path, moved: bool) -> None:
    planned = Planned(tmp_path)
    planned.registry.write("repositories/other/_uploads/1/startedat")
    watch = planned.plan()
    entries = plan_deletion(watch.stored, watch.since, [], ["other"])
    watch = Watch(tmp_path, entries, watch.stored, watch.since, watch.empty)
    assert not any(find_spared(watch).has(entry) for entry in entries)
    sweep = Sweep(tmp_path, "run")
    if moved:
        sweep.prepare(entries)
        sweep.move(set(), LATER)
    planned.registry.write("repositories/other/_uploads/2/startedat")
    spared = find_spared(watch, done=[sweep] if moved else [])
    assert all(spared.has(entry) for entry in entries)
    assert not any(spared.has(entry) for entry in planned.entries if entry.repository != "other")
