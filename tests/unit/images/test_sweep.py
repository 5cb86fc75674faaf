"""Moving dead files into the trash and back, interrupted at every step."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stored_registry import StoredRegistry

from moorage.images.sweep import (
    TRASH,
    Entry,
    State,
    Sweep,
    recover,
    sweeps,
    written_since,
)

LATER = 1e18


class CrashError(BaseException):
    """The process is killed."""


_CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "open"}
_left: list[int] = []


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if _left and event in _CHANGES and TRASH in str(arguments):
        _left[0] -= 1
        if _left[0] < 0:
            raise CrashError


sys.addaudithook(_count)


@contextmanager
def crash_after(changes: int) -> Iterator[list[bool]]:
    """Kill what runs inside before it makes one change more in the trash; tells whether it was."""
    crashed = [False]
    _left[:] = [changes]
    try:
        yield crashed
    except CrashError:
        crashed[0] = True
    finally:
        _left.clear()


@pytest.fixture
def registry(tmp_path: Path) -> StoredRegistry:
    """An image in use, and one that can go."""
    registry = StoredRegistry(tmp_path)
    registry.image("app", [registry.blob("app", b"shared"), registry.blob("app", b"new")], "v2")
    registry.image("app", [registry.blob("app", b"shared"), registry.blob("app", b"old")], "v1")
    return registry


def snapshot(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and TRASH not in path.parts
    }


def dead(registry: StoredRegistry) -> list[Entry]:
    """What only v1 needs: its tag, its manifest, and the content of its own layer."""
    tree = registry.read().tree
    digest = tree.repositories["app"].tags["v1"].digest
    manifest = registry.read().manifests[digest]
    own = next(part for part in manifest.layers if part.size == len(b"old"))
    entries = [Entry("repositories/app/_manifests/tags/v1")]
    value = digest[7:]
    entries.append(Entry(f"repositories/app/_manifests/revisions/sha256/{value}/link", digest))
    for each in (digest, own.digest):
        path = f"blobs/sha256/{each[7:9]}/{each[7:]}/data"
        entries.append(Entry(path, each, tree.blobs[each].size))
    return entries


def sweep_all(registry: StoredRegistry, entries: list[Entry]) -> Sweep:
    sweep = Sweep(registry.root, "run1")
    sweep.prepare(entries)
    sweep.move(set(), LATER)
    sweep.finish()
    return sweep


def test_what_is_alive_stays_and_the_rest_can_come_back(registry: StoredRegistry) -> None:
    before, entries = snapshot(registry.root), dead(registry)

    sweep = sweep_all(registry, entries)

    assert list(sweep.in_trash()) == entries
    after = snapshot(registry.root)
    assert after.items() < before.items()
    assert set(registry.read().tree.repositories["app"].tags) == {"v2"}
    assert recover(registry.root) == []
    assert sweep.put_back() == len(entries)
    assert snapshot(registry.root) == before


def test_the_list_is_on_the_disk_before_a_file_is_moved(
    registry: StoredRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut, whatever was moved can be put back."""
    entries, synced, moved = dead(registry), list[str](), list[Path]()
    sync, rename = os.fsync, Path.rename

    def note_sync(file: int) -> None:
        assert not moved
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        sync(file)

    def note_move(path: Path, to: Path) -> Path:
        if path.is_relative_to(registry.v2):
            folder = registry.root / TRASH / "run1"
            names = (folder / ".list", folder / ".state", folder, folder.parent)
            assert set(map(str, names)) <= set(synced)
            moved.append(path)
        return rename(path, to)

    sweep = Sweep(registry.root, "run1")
    with monkeypatch.context() as watched:
        watched.setattr(os, "fsync", note_sync)
        watched.setattr(Path, "rename", note_move)
        sweep.prepare(entries)
        watched.setattr(os, "fsync", sync)
        sweep.move(set(), LATER)
    assert len(moved) == len(entries)


def test_purging_frees_the_bytes_it_says(registry: StoredRegistry) -> None:
    entries = dead(registry)
    sweep = sweep_all(registry, entries)
    after = snapshot(registry.root)

    assert sweep.purge() == sum(each.size for each in entries)
    assert snapshot(registry.root) == after
    assert sweeps(registry.root) == []


def test_interrupted_anywhere_everything_comes_back(registry: StoredRegistry) -> None:
    before, entries = snapshot(registry.root), dead(registry)
    for changes in range(1000):
        with crash_after(changes):
            sweep_all(registry, entries)
        if any(sweep.state is State.CHECKED for sweep in sweeps(registry.root)):
            break
        # The recovery is interrupted as well, later each time.
        for more in range(1000):
            with crash_after(more) as again:
                recover(registry.root)
            if not again[0]:
                break
        assert snapshot(registry.root) == before
        assert sweeps(registry.root) == []
    assert changes > 10


def test_a_purge_that_was_interrupted_goes_on(registry: StoredRegistry) -> None:
    sweep_all(registry, dead(registry))
    after = snapshot(registry.root)
    for changes in range(1000):
        with crash_after(changes) as crashed:
            assert recover(registry.root) == []
            for sweep in sweeps(registry.root):
                sweep.purge()
        assert snapshot(registry.root) == after
        if not crashed[0]:
            break
    assert sweeps(registry.root) == []


def test_what_others_put_beside_the_trash_stays(registry: StoredRegistry) -> None:
    sweep = sweep_all(registry, dead(registry))
    trash = registry.root / TRASH
    (trash / "note").write_text("do not touch")
    (trash / "mine").mkdir()
    (trash / "mine/list").write_text("eggs")
    (trash / "mine/file").write_text("mine")
    (trash / "link").symlink_to(trash / sweep.run)
    assert recover(registry.root) == []
    assert [each.run for each in sweeps(registry.root)] == [sweep.run]
    assert (trash / "note").exists()
    assert (trash / "mine/file").exists()


def test_out_of_time_everything_is_put_back(registry: StoredRegistry) -> None:
    before = snapshot(registry.root)
    sweep = Sweep(registry.root, "run1")
    sweep.prepare(dead(registry))
    with pytest.raises(TimeoutError):
        sweep.move(set(), time.monotonic() - 1)
    assert snapshot(registry.root) == before


def test_what_was_pushed_meanwhile_stays(registry: StoredRegistry) -> None:
    entries = dead(registry)
    stamp = time.time()
    for entry in entries[1:]:
        os.utime(registry.v2 / entry.path)  # As a push of the same content does with its links.
    spared = written_since(registry.root, entries, stamp - 0.01)
    sweep = Sweep(registry.root, "run1")
    sweep.prepare(entries)
    assert sweep.move(spared, LATER) == 1
    assert list(sweep.in_trash()) == entries[:1]


def test_what_was_pushed_anew_is_not_replaced(registry: StoredRegistry) -> None:
    entries = dead(registry)
    sweep = sweep_all(registry, entries)
    again = registry.write(entries[-1].path, b"pushed again")
    assert sweep.put_back(lambda entry: entry.digest == entries[-1].digest) == 0
    assert again.read_bytes() == b"pushed again"
