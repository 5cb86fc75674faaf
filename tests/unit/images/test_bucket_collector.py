"""Images in a bucket: interrupted anywhere, nothing alive is missing."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.s3.models import s3_backends
from stored_registry import StoredRegistry
from thorough import IS_THOROUGH

from moorage.answers.model import S3Storage
from moorage.answers.secrets import Secret
from moorage.cloud.s3 import Keys, open_client
from moorage.cloud.s3_images import Bucket
from moorage.cloud.s3_images_write import BucketLock, Objects, bucket_sweeps
from moorage.deploy.images.bucket import BucketCollector
from moorage.deploy.images.bucket_gates import HoldOfAll, Uses
from moorage.errors import MoorageError
from moorage.images.alive import Limits
from moorage.images.collection import plan_collection
from moorage.images.collector import StopError
from moorage.images.sweep import TRASH
from moorage.images.task import Task

NAME, ROOT = "images", "deep/"
V2 = f"{ROOT}docker/registry/v2/"
STORAGE = S3Storage(bucket=NAME, region="us-east-1", rootdirectory="/deep")
KEYS = Keys(Secret("x"), Secret("y"))


class KilledError(BaseException):
    """The operator's process was killed."""


@dataclass
class FakeGates:
    """Servers that do what they are asked to.

    Attributes:
        during: What clients do while writes are held, before anything is deleted.
        after: What clients do as soon as writes are let through.
        is_late: How many holds end too early.
    """

    is_cancelled: bool = False
    clients: Uses = field(default_factory=Uses)
    during: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    is_late: int = 0
    log: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        self.log.append(name)

    def say(self, text: str) -> None:
        self.log.append(text)

    def warn(self, text: str) -> None:
        self.log.append(text)

    def unlock(self) -> None:
        """Do nothing."""

    def lock(self) -> bool:
        return True

    def uses(self) -> Uses:
        return self.clients

    @contextmanager
    def hold(self, condemned: Iterable[tuple[str, str]]) -> Iterator[HoldOfAll]:
        list(condemned)
        self.during()
        yield HoldOfAll(time.monotonic() + 10, self.clients)
        self.after()
        if self.is_late:
            self.is_late -= 1
            raise TimeoutError


class Store:
    """A registry's bucket, and an operator's machine."""

    def __init__(self, registry: StoredRegistry) -> None:
        self.registry = registry
        self.gates = FakeGates()
        self.bucket = self._open()
        self.bucket.client.create_bucket(Bucket=NAME)
        self.number = 0

    def _open(self) -> Bucket:
        return Bucket(STORAGE, KEYS)

    @property
    def keys(self) -> Any:
        return s3_backends["123456789012"]["aws"].buckets[NAME].keys

    def fill(self) -> None:
        """Let the bucket have what the folder has, written an hour ago."""
        wanted = {
            f"{ROOT}{path.relative_to(self.registry.root)}": path.read_bytes()
            for path in self.registry.root.rglob("*")
            if path.is_file()
        }
        for key in [key for key in self.keys if key not in wanted]:
            self.keys.pop(key)
        for key, content in wanted.items():
            if key not in self.keys or self.keys[key].value != content:
                self.bucket.client.put_object(Bucket=NAME, Key=key, Body=content)
            then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
            self.keys[key].last_modified = then.replace(tzinfo=None)

    def age(self, seconds: float = 3600.0) -> None:
        """Let everything have been written earlier."""
        then = datetime.timedelta(seconds=seconds)
        for key in list(self.keys):
            self.keys[key].last_modified -= then

    def put(self, path: str, content: bytes) -> None:
        """Write as the registry does."""
        self.bucket.client.put_object(Bucket=NAME, Key=V2 + path, Body=content)

    def contents(self) -> dict[str, bytes]:
        """Return everything but the trash, by key."""
        return {
            key: bytes(self.keys[key].value)
            for key in sorted(self.keys)
            if not key.startswith(f"{ROOT}{TRASH}/")
        }

    def trash(self) -> list[str]:
        return [key for key in self.keys if key.startswith(f"{ROOT}{TRASH}/")]

    def run(self, action: str = "collect", *, fails: Callable[[int], None] | None = None,
            **task: Any) -> dict[str, int]:  # fmt: skip
        """Run as a new process would."""
        self.number += 1
        bucket = self._open()
        values: dict[str, Any] = {
            "grace": 0.0, "young": 0.0, "takes_untagged": True, "looks": (0.0,), **task,
        }  # fmt: skip
        with self._failing(fails):
            objects = Objects(bucket)
            lock = BucketLock(objects, f"run {self.number}")
            assert lock.take(lambda holder: True) == ""
            collector = BucketCollector(
                bucket, objects, self.gates, lock, Task(action, "deep", NAME, **values),
                f"run{self.number:04}", lambda: (None, {}),
            )  # fmt: skip
            collector.work()
            lock.give_back()
        return collector.numbers

    @contextmanager
    def _failing(self, fails: Callable[[int], None] | None) -> Iterator[None]:
        """Call a function before and after each request, with its number."""
        count = iter(range(1, 100_000))

        def handle(**_: Any) -> None:
            if fails is not None:
                fails(next(count))

        events = self.bucket.client.meta.events
        for event in ("before-call.s3", "after-call.s3"):
            events.register(event, handle)
        try:
            yield
        finally:
            for event in ("before-call.s3", "after-call.s3"):
                events.unregister(event, handle)

    def alive(self) -> dict[str, bytes]:
        """Return what tags need, by key."""
        plan = plan_collection(self.registry.read(), Limits(float("inf"), 0.0, takes_untagged=True))
        dead = {V2 + entry.path for entry in plan.entries}
        assert len(dead) > 5
        return {key: value for key, value in self.contents().items() if key not in dead}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    registry = StoredRegistry(tmp_path / "images")
    used = [registry.blob("app", b"shared"), registry.blob("app", b"new")]
    registry.index("app", [registry.image("app", used, "v2")], "all")
    registry.image("app", [registry.blob("app", b"shared"), registry.blob("app", b"old")])
    registry.image("app", [registry.blob("app", b"shared")], "1.2")
    # A name that another one begins with: deleting by prefix would miss or hit both.
    registry.image("app", [registry.blob("app", b"sibling")], "1.2.1", "1.2-x")
    registry.image("app/deep", [registry.blob("app/deep", b"new")], "1.2")
    registry.blob("other", b"orphan")
    registry.blob("other", b"new")
    for module in ("alive", "collector"):
        monkeypatch.setattr(f"moorage.images.{module}.CLOCK_STEP", 0.0)
    monkeypatch.setattr("moorage.deploy.images.bucket.CLOCK_STEP", 0.0)
    monkeypatch.setattr("moorage.deploy.images.bucket.PAUSE", 0.0)
    with mock_aws():
        # Opening a client takes as long as dozens of its requests.
        client = open_client(STORAGE, KEYS)
        monkeypatch.setattr("moorage.cloud.s3_images.open_client", lambda *_, **__: client)
        found = Store(registry)
        found.fill()
        yield found


def digest(registry: StoredRegistry, repository: str, tag: str) -> str:
    return registry.read().tree.repositories[repository].tags[tag].digest


def without_content(contents: dict[str, bytes]) -> dict[str, bytes]:
    return {key: value for key, value in contents.items() if not key.startswith(f"{V2}blobs/")}


def test_links_go_first_and_content_when_the_trash_is_emptied(store: Store) -> None:
    before, alive = store.contents(), store.alive()
    numbers = store.run()
    after = store.contents()
    assert without_content(after) == without_content(alive)
    assert after.items() >= alive.items()
    assert numbers["blobs"] == len(before) - len(alive) - numbers["links"]
    # What is listed is not counted again, and stays until its time is over.
    assert "blobs" not in store.run()
    assert store.contents() == after
    store.age(8 * 86400.0)
    for sweep in bucket_sweeps(Objects(store.bucket)):
        sweep.at -= 8 * 86400.0
        sweep.finish()
    assert store.run()["purged"] == numbers["bytes"]
    assert store.contents() == alive
    assert store.trash() == []


def test_it_is_restored_with_the_same_content(store: Store) -> None:
    before = store.contents()
    name = digest(store.registry, "app", "1.2")
    assert store.run("delete", tags=(("app", "1.2", name),))["tags"] == 1
    tags = store.bucket.read({}).tree.repositories["app"].tags
    assert tags.keys() == {"v2", "all", "1.2.1", "1.2-x"}
    store.run()
    store.run("restore", tags=(("app", "1.2", ""),))
    after = store.contents()
    assert after.items() <= before.items()
    stored = store.bucket.read({})
    assert stored.tree.repositories["app"].tags["1.2"].digest == name
    assert {part.digest for part in stored.manifests[name].blobs} <= (
        stored.tree.repositories["app"].blobs.keys() & stored.tree.blobs.keys()
    )
    store.run("restore")
    assert store.contents() == before
    assert store.trash() == []


def test_a_repository_is_deleted_without_those_below_it(store: Store) -> None:
    before = store.contents()
    store.run("delete", repositories=("app",))
    left = store.bucket.read({}).tree.repositories
    assert left.keys() == {"app/deep", "other"}
    store.run("restore", repositories=("app",))
    assert store.contents() == before


def test_one_tag_of_a_deleted_repository_is_restored(store: Store) -> None:
    before = store.contents()
    names = {tag: digest(store.registry, "app", tag) for tag in ("all", "v2", "1.2", "1.2.1")}
    store.run("delete", repositories=("app",))
    [run] = [sweep.as_trash(60.0) for sweep in bucket_sweeps(Objects(store.bucket))]
    assert {tag for _, tag in run.tags} == {*names, "1.2-x"}
    store.run()
    assert store.run("restore", tags=(("app", "all", ""),))["restored"]
    stored = store.bucket.read({})
    app = stored.tree.repositories["app"]
    assert app.tags.keys() == {"all"}
    assert app.manifests.keys() == {names["all"], names["v2"]}
    needed = {part.digest for part in stored.manifests[names["v2"]].blobs}
    assert needed == app.blobs.keys()
    store.run("restore", repositories=("app",))
    store.run("restore")
    assert store.contents() == before
    assert store.trash() == []


def test_layers_that_are_named_by_their_sha512_digest_come_back(store: Store) -> None:
    registry = store.registry
    registry.image("odd", [registry.blob_by_sha512("odd", b"odd")], "v1")
    registry.image("odd", [registry.blob("odd", b"other")], "v2")
    store.fill()
    name = digest(registry, "odd", "v1")
    for deleted, restored in (
        ({"tags": (("odd", "v1", name),)}, {"tags": (("odd", "v1", ""),)}),
        ({"repositories": ("odd",)}, {"tags": (("odd", "v1", ""),)}),
        ({"repositories": ("odd",)}, {"repositories": ("odd",)}),
    ):
        store.run("delete", **deleted)
        store.run()
        store.run("restore", **restored)
        stored = store.bucket.read({})
        assert {part.digest for part in stored.manifests[name].blobs} <= (
            stored.tree.repositories["odd"].blobs.keys() & stored.tree.blobs.keys()
        )
        for part in stored.manifests[name].blobs:
            path = f"{V2}repositories/odd/_layers/{part.digest.replace(':', '/')}/link"
            assert path in store.contents(), deleted
        store.run(purges=True)
        assert b"odd" in store.contents().values(), deleted
        store.fill()


def test_purge_empties_the_trash_at_once(store: Store) -> None:
    alive = store.alive()
    numbers = store.run(purges=True)
    assert numbers["purged"] == numbers["bytes"] > 0
    assert store.contents() == alive
    assert store.trash() == []


@pytest.mark.parametrize("purges", [False, True] if IS_THOROUGH else [True])
def test_killed_anywhere_nothing_alive_is_lost_and_the_next_run_continues(
    store: Store, *, purges: bool
) -> None:
    before, alive = store.contents(), store.alive()

    def fails(at: int) -> Callable[[int], None]:
        def fail(number: int) -> None:
            if number >= at:
                raise KilledError

        return fail

    for number in range(6, 10_000, 13 if IS_THOROUGH else 29):
        try:
            store.run(fails=fails(number), purges=purges)
        except KilledError:
            pass
        else:
            break
        assert store.contents().items() >= alive.items(), number
        # The next one is killed, too, when it puts things back.
        with suppress(KilledError):
            store.run(fails=fails(30), purges=purges)
        assert store.contents().items() >= alive.items(), number
        # A link that comes back is young.
        store.run()
        store.age()
        store.run(purges=True)
        assert store.contents() == alive, number
        assert store.trash() == []
        store.fill()
        assert store.contents() == before
    assert number > (100 if purges else 60)


@pytest.mark.parametrize("purges", [False, True] if IS_THOROUGH else [True])
def test_an_error_of_the_store_anywhere(store: Store, *, purges: bool) -> None:
    alive = store.alive()

    def fails(at: int) -> Callable[[int], None]:
        def fail(number: int) -> None:
            if number == at:
                raise ClientError({"Error": {"Code": "InternalError"}}, "any")

        return fail

    for number in range(6, 10_000, 19 if IS_THOROUGH else 41):
        try:
            store.run(fails=fails(number), purges=purges)
        except MoorageError as error:
            assert error.code == "storage_refused"  # noqa: PT017
        else:
            assert store.contents().items() >= alive.items(), number
            if number > (150 if purges else 80):
                break
        assert store.contents().items() >= alive.items(), number
        store.run()
        store.age()
        store.run(purges=True)
        assert store.contents() == alive, number
        store.fill()


def test_objects_that_the_store_does_not_delete_are_put_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.contents()
    delete = Objects._delete_some

    def refuse(self: Objects, keys: Any) -> Any:
        if any("docker/registry" in key for key in keys):
            delete(self, keys[1:])
            return [{"Key": keys[0], "Code": "AccessDenied"}]
        return delete(self, keys)

    monkeypatch.setattr(Objects, "_delete_some", refuse)
    with pytest.raises(MoorageError, match="AccessDenied"):
        store.run()
    assert store.contents() == before
    assert store.trash() == [f"{ROOT}{TRASH}/lock"]


def test_a_hold_that_ended_too_early_changes_nothing(store: Store) -> None:
    before, alive = store.contents(), store.alive()
    store.gates.is_late = 99
    with pytest.raises(StopError) as stopped:
        store.run()
    assert stopped.value.code == "images_bucket_slow"
    assert store.contents() == before
    store.gates.is_late = 1
    store.age()
    store.run(purges=True)
    assert store.contents() == alive


def test_what_clients_ask_for_or_push_meanwhile_stays(store: Store) -> None:
    stored = store.registry.read()
    [old] = [
        d for d, each in stored.manifests.items()
        if d not in {t.digest for r in stored.tree.repositories.values() for t in r.tags.values()}
        and not any(d in {c.digest for c in m.children} for m in stored.manifests.values())
    ]  # fmt: skip
    repository = stored.tree.repositories["app"]
    needed = {
        f"{V2}repositories/app/_layers/{each.digest.replace(':', '/')}/link"
        for each in stored.manifests[old].blobs
    }
    assert set(repository.blobs) >= {each.digest for each in stored.manifests[old].blobs}

    # Pushed again under a tag while writes are held: known from the log only.
    def push() -> None:
        path = "repositories/app/_manifests/tags/again"
        store.put(f"{path}/index/{old.replace(':', '/')}/link", old.encode())
        store.put(f"{path}/current/link", old.encode())
        store.gates.clients.written.update({("app", "again"), ("app", f"@{old}")})

    store.gates.during = push
    store.run(purges=True)
    assert store.contents().keys() >= needed
    stored = store.bucket.read({})
    assert old in stored.tree.repositories["app"].manifests
    assert {part.digest for part in stored.manifests[old].blobs} <= stored.tree.blobs.keys()


def test_what_is_linked_by_requests_in_progress_is_put_back(store: Store) -> None:
    old = next(
        entry for entry in plan_collection(
            store.registry.read(), Limits(float("inf"), 0.0, takes_untagged=True)
        ).entries if entry.is_manifest
    ).digest  # fmt: skip

    def link() -> None:
        # Its registry had seen that everything exists, and writes the tag when all is gone.
        path = "repositories/app/_manifests"
        store.put(f"{path}/revisions/{old.replace(':', '/')}/link", old.encode())
        store.put(f"{path}/tags/late/current/link", old.encode())

    store.gates.after = link
    store.run(purges=True)
    stored = store.bucket.read({})
    assert stored.tree.repositories["app"].tags["late"].digest == old
    assert {part.digest for part in stored.manifests[old].blobs} <= (
        stored.tree.repositories["app"].blobs.keys() & stored.tree.blobs.keys()
    )


def test_a_tag_that_was_pushed_meanwhile_is_not_deleted(store: Store) -> None:
    name = digest(store.registry, "app", "1.2")
    other = digest(store.registry, "app", "v2")

    def push() -> None:
        store.put("repositories/app/_manifests/tags/1.2/current/link", other.encode())

    store.gates.during = push
    store.run("delete", tags=(("app", "1.2", name),))
    assert store.bucket.read({}).tree.repositories["app"].tags["1.2"].digest == other
    with pytest.raises(StopError) as stopped:
        store.run("delete", tags=(("app", "1.2", name),))
    assert stopped.value.code == "images_tag_changed"


def test_one_at_a_time(store: Store) -> None:
    objects = Objects(store.bucket)
    first, second = BucketLock(objects, "first"), BucketLock(objects, "second")
    assert first.take(lambda holder: False) == ""
    assert second.take(lambda holder: False) == "first"
    second.give_back()
    assert first.renew()
    store.age()
    assert second.take(lambda holder: False) == ""
    first._looked = 0.0
    assert not first.renew()
    second.give_back()
    assert store.trash() == []


def test_cancelled_it_changes_nothing(store: Store) -> None:
    before = store.contents()
    store.gates.is_cancelled = True
    with pytest.raises(StopError):
        store.run()
    assert store.contents() == before
