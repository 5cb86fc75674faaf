"""The program that collects images on a server: killed anywhere, refusing, cancelled."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from collector_process import CollectorAtWork, nginx_that_holds
from old_pythons import VERSIONS, find_python
from stored_registry import OCI, StoredRegistry
from thorough import IS_THOROUGH

from moorage.deploy.images.run import program
from moorage.images.alive import Limits
from moorage.images.collection import plan_collection
from moorage.images.retention import Keep, Rule
from moorage.images.sweep import TRASH, State, sweeps
from moorage.images.task import Task, read_task


@pytest.fixture
def registry(tmp_path: Path) -> StoredRegistry:
    registry = StoredRegistry(tmp_path / "images")
    used = [registry.blob("app", b"shared"), registry.blob("app", b"new")]
    image = registry.image("app", used, "v2")
    registry.index("app", [image], "all")
    registry.image("app", [registry.blob("app", b"shared"), registry.blob("app", b"old")])
    registry.blob("other", b"orphan")
    registry.blob("other", b"new")
    time.sleep(0.05)
    return registry


@pytest.fixture
def server(tmp_path: Path, registry: StoredRegistry) -> Iterator[CollectorAtWork]:
    server = CollectorAtWork(tmp_path / "server", registry.root)
    with nginx_that_holds(server.folder / "web"):
        yield server


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and TRASH not in path.parts
    }


def alive_files(registry: StoredRegistry) -> dict[str, bytes]:
    plan = plan_collection(registry.read(), Limits(float("inf"), 0.0, takes_untagged=True))
    dead = {f"docker/registry/v2/{entry.path}" for entry in plan.entries}
    assert len(dead) > 5
    return {path: content for path, content in contents(registry.root).items() if path not in dead}


def test_what_is_alive_stays_and_all_else_goes(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    before, alive = contents(registry.root), alive_files(registry)
    (status, *_), log = server.run()
    assert status == "done", log
    assert contents(registry.root) == alive
    (status, *_), log = server.run(action="restore")
    assert status == "done", log
    assert contents(registry.root) == before
    assert not list((server.folder / "web").glob("*ondemned*"))


@pytest.mark.parametrize("version", VERSIONS)
def test_it_runs_with_the_python_of_old_servers(
    registry: StoredRegistry, server: CollectorAtWork, version: str
) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    server.python = python
    before, alive = contents(registry.root), alive_files(registry)
    (status, *_), log = server.run(looks=(0.1,))
    assert status == "done", log
    assert contents(registry.root) == alive
    (status, *_), log = server.run(action="restore")
    assert status == "done", log
    assert contents(registry.root) == before
    name, tag, digest = "app", "v2", registry.read().tree.repositories["app"].tags["v2"].digest
    (status, *_), log = server.run(action="delete", tags=[(name, tag, digest)], purges=True)
    assert status == "done", log
    assert set(registry.read().tree.repositories["app"].tags) == {"all"}


def test_killed_anywhere_nothing_alive_is_lost_and_the_next_run_continues(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    before, alive = contents(registry.root), alive_files(registry)
    for change in range(1, 1000, 5 if IS_THOROUGH else 11):
        result, log = server.run(killed_after=change)
        assert contents(registry.root).items() >= alive.items(), change
        if result:
            assert result[0] == "done", log
            break
        # The next one is killed, too, when it puts things back.
        server.run(killed_after=8)
        assert contents(registry.root).items() >= alive.items(), change
        was_complete = any(sweep.state is State.CHECKED for sweep in sweeps(registry.root))
        (status, *_), log = server.run(action="restore")
        assert status == ("done" if was_complete else "failed"), log
        assert sweeps(registry.root) == []
        assert contents(registry.root) == before, change
        time.sleep(0.05)
    assert change > 40


def test_on_a_full_disk_nothing_alive_is_lost_and_the_next_run_continues(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    before, alive = contents(registry.root), alive_files(registry)
    for change in range(1, 1000, 3 if IS_THOROUGH else 7):
        result, log = server.run(killed_after=-change)
        assert contents(registry.root).items() >= alive.items(), change
        if result[:1] == ["done"]:
            break
        _, log = server.run(action="restore")
        assert sweeps(registry.root) == [], log
        assert contents(registry.root) == before, (change, log)
        time.sleep(0.05)
    assert change > 20


def test_a_collection_that_is_cancelled_changes_nothing(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    before = contents(registry.root)
    process = server.start(grace=60.0)
    steps = server.folder / "state/runs/run0001/step"
    while not (steps.exists() and "grace" in steps.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    # Other runs can go first meanwhile.
    process.terminate()
    output = process.communicate(timeout=60)[0]
    assert "@result\tcancelled\trun_cancelled" in output
    assert contents(registry.root) == before


@pytest.mark.parametrize("step", ["images-mark", "grace", "images-move", "images-check"])
def test_terminated_anywhere_it_ends_in_order(
    registry: StoredRegistry, server: CollectorAtWork, step: str
) -> None:
    before, alive = contents(registry.root), alive_files(registry)
    process = server.start(grace=0.5, looks=(0.5,))
    steps = server.folder / "state/runs/run0001/step"
    while not (steps.exists() and step in steps.read_text()):
        assert process.poll() is None
        time.sleep(0.005)
    process.terminate()
    output = process.communicate(timeout=60)[0]
    assert "@result\tcancelled\trun_cancelled" in output or "@result\tdone" in output
    # All of it has been moved, or nothing.
    assert contents(registry.root) in (before, alive)
    assert all(sweep.state is State.CHECKED for sweep in sweeps(registry.root))
    assert ("@result\tdone" in output) == (contents(registry.root) == alive)
    (status, *_), log = server.run(purges=True)
    assert status == "done", log
    assert contents(registry.root) == alive
    assert sweeps(registry.root) == []


def test_the_trash_is_emptied_after_its_time(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    server.run()
    after = contents(registry.root)
    (status, *_), log = server.run()
    assert status == "done", log
    [sweep] = sweeps(registry.root)
    state = registry.root / TRASH / sweep.run / "state"
    os.utime(state, (0, time.time() - 8 * 86400))
    (status, *_), log = server.run()
    assert status == "done", log
    assert sweeps(registry.root) == []
    assert contents(registry.root) == after


def test_everything_can_be_collected_once_all_repositories_were_deleted(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    (status, *_), log = server.run(action="delete", repositories=["app", "other"])
    assert status == "done", log
    (status, *_), log = server.run()
    assert status == "done", log
    assert contents(registry.root) == {}
    server.run(action="restore")
    assert registry.read().tree.repositories["app"].tags.keys() == {"v2", "all"}


def test_content_whose_repositories_are_missing_is_not_collected(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    registry.blob("app", b"more than a check leaves" * 100)
    shutil.rmtree(registry.v2 / "repositories")
    before = contents(registry.root)
    (status, code, *_), log = server.run()
    assert (status, code) == ("failed", "images_nothing_alive"), log
    assert contents(registry.root) == before


def test_layers_that_are_named_by_their_sha512_digest_stay_and_come_back(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    registry.image("app", [registry.blob_by_sha512("app", b"odd")], "odd")
    time.sleep(0.05)
    before = contents(registry.root)
    server.run()
    kept = contents(registry.root)
    digest = registry.read().tree.repositories["app"].tags["odd"].digest
    image = registry.read().manifests[digest]
    assert all(registry.read().tree.blobs[part.digest].size for part in image.blobs)
    (status, *_), log = server.run(action="delete", tags=[("app", "odd", digest)])
    assert status == "done", log
    server.run()
    assert b"odd" not in contents(registry.root).values()
    (status, *_), log = server.run(action="restore", tags=[("app", "odd", "")])
    assert status == "done", log
    assert contents(registry.root) == kept
    server.run(action="restore")
    assert contents(registry.root) == before


def test_what_is_needed_again_is_not_emptied(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    server.run()
    # A manifest that was pushed although its layer was in the trash.
    old = next(
        entry for sweep in sweeps(registry.root) for entry in sweep.in_trash() if entry.size == 3
    )
    layer = {"mediaType": f"{OCI}.layer.v1.tar", "digest": old.digest, "size": 3}
    registry.image("late", [layer], "v1")
    (status, *_), log = server.run(purges=True)
    assert status == "done", log
    assert sweeps(registry.root) == []
    assert (registry.v2 / old.path).read_bytes() == b"old"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("cache", "images_settings"),
        ("proxy", "images_settings"),
        ("other root", "changed_meanwhile"),
        ("no marker", "images_store_missing"),
        ("other slot", "images_other_slot"),
        ("no nginx", "images_no_hold"),
        ("locked", "run_locked"),
        ("unreadable", "images_unreadable"),
        ("no space", "images_failed"),
        ("no log", "images_failed"),
    ],
)
def test_it_refuses(
    registry: StoredRegistry, server: CollectorAtWork, change: str, code: str
) -> None:
    before = contents(registry.root)
    task: dict[str, object] = {}
    text = server.config.read_text()
    with socket.socket(socket.AF_UNIX) as listener:
        match change:
            case "cache":
                server.config.write_text(f"{text}  cache:\n    blobdescriptor: inmemory\n")
            case "proxy":
                server.config.write_text(f"{text}proxy:\n  remoteurl: https://example.com\n")
            case "other root":
                server.config.write_text(text.replace("images", "elsewhere"))
            case "no marker":
                task["store"] = "0123"
            case "other slot":
                (server.folder / "slots/green").mkdir()
                listener.bind(str(server.folder / "slots/green/registry.sock"))
                listener.listen()
            case "no nginx":
                (server.folder / "web/held.sock").unlink()
            case "locked":
                lock = (server.folder / "state/images.lock").open("a")
                fcntl.flock(lock, fcntl.LOCK_EX)
            case "unreadable":
                server.images_script = b"echo no >&2; exit 4"
            case "no log":
                server.log.unlink()
            case "no space":
                (registry.root / TRASH).write_text("")
        result, log = server.run(**task)
    assert result[0] in {"failed", "locked"}, log
    assert result[1] == code, log
    if change != "no space":
        assert contents(registry.root) == before


def test_the_program_that_is_sent_along_is_complete(tmp_path: Path) -> None:
    for name, content in program(Task("collect", "/x")).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    check = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; "
    check += (
        f"sys.path.insert(0, {str(tmp_path / 'code')!r}); import moorage.images.collector as c; "
    )
    check += "print(c.__file__)"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", check], capture_output=True, text=True, check=False
    )
    assert ran.stdout.startswith(str(tmp_path)), ran.stderr
    assert read_task(tmp_path / "task.json") == Task("collect", "/x")


def _tags(registry: StoredRegistry, repository: str) -> set[str]:
    return set(registry.read().tree.repositories[repository].tags)


def test_rules_remove_the_tags_that_the_operator_saw(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    rules = (Rule(("app",), Keep(tags=("all",))),)
    digest = registry.read().tree.repositories["app"].tags["v2"].digest
    registry.image("app", [registry.blob("app", b"newer")], "later", "v3")
    moved = registry.read().tree.repositories["app"].tags["later"].digest
    seen = (("app", "v2", digest), ("app", "all", digest), ("app", "v3", digest))
    (status, *_), log = server.run(action="retain", rules=rules, tags=seen)
    assert status == "done", log
    # all matches the rule, v3 is another image now, and later was not shown.
    assert _tags(registry, "app") == {"all", "v3", "later"}
    assert "@number\ttags\t1\n" in log
    assert moved in registry.read().tree.repositories["app"].manifests
    (status, *_), log = server.run(action="restore")
    assert status == "done", log
    assert _tags(registry, "app") == {"all", "v2", "v3", "later"}


def test_a_scheduled_run_removes_by_the_rules_and_frees_the_space(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    rules = (Rule(("app",), Keep(tags=("v2",))),)
    time.sleep(0.1)
    (status, *_), log = server.run(action="scheduled", rules=rules)
    assert status == "done", log
    assert _tags(registry, "app") == {"v2"}
    assert "other" not in {name for name, each in registry.read().tree.repositories.items()
                           if each.blobs}  # fmt: skip
    assert len({sweep.run for sweep in sweeps(registry.root)}) >= 2


def test_rules_about_pulls_remove_nothing_where_pulls_are_not_known(
    registry: StoredRegistry, server: CollectorAtWork
) -> None:
    rules = (Rule(("*",), Keep(pulled_within=0.001)),)
    (status, *_), log = server.run(action="scheduled", rules=rules)
    assert status == "done", log
    assert _tags(registry, "app") == {"v2", "all"}
