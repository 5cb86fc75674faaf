"""Two servers on one bucket, under everything at once: no push or pull fails, nothing is lost.

`make soak-bucket` runs for ten minutes; the tests have a short case in test_images_collect.py.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from boot_servers import BootServers
from busy_client import BusyClient
from command_line import CommandLine
from image_client import ImageClient
from images_at_work import Images, client_of
from operator_at_work import Operator

from lab.machine import say
from lab.services import ObjectStore
from moorage.deploy.images.run import ImagesChange
from moorage.images.alive import CLOCK_STEP, Limits, find_alive
from moorage.servers.run_results import RunStatus

SECONDS = int(os.environ.get("MOORAGE_SOAK_SECONDS", "0"))
pytestmark = [
    pytest.mark.ready("python3"),
    pytest.mark.skipif(not SECONDS, reason="`make soak-bucket` runs it"),
]
CLIENTS = 6
YOUNG, GRACE = 30.0, 8.0
"""Seconds. A push needs a few on a busy machine."""
PATIENCE = 300.0
"""Seconds after which the run of a killed process has ended on the servers, at the latest."""


class TemporaryImages(BusyClient):
    """Also pushes images that retention rules remove."""

    def _push_and_pull(self) -> None:
        super()._push_and_pull()
        to = self._random.choice(self.images)
        to.push(f"temporary/{self._number}", f"build-{self.pushes}", [os.urandom(5000)])


@dataclass
class Owner:
    """Deletes, restores, retains and collects, and kills some of it.

    Attributes:
        images: Changes the images.
        clients: A client of each server.
        call: The command line, whose collections are killed.
        did: How often it did what, and the sums of what runs counted.
        held: The longest time that writes were held, in milliseconds.
    """

    images: Images
    clients: list[ImageClient]
    call: CommandLine
    did: Counter[str] = field(default_factory=Counter)
    held: int = 0

    def work(self, end: float) -> None:
        """Do everything in turns until a time."""
        chosen = random.Random(1)
        while time.monotonic() < end:
            self._delete_and_restore()
            self.change("retain", self.images.retain)
            self._collect(purges=chosen.randrange(2) == 0)
            self._kill_collection(chosen.uniform(2, 25))

    def _delete_and_restore(self) -> None:
        one, other = random.sample(self.clients, 2)
        for tag in ("kept", "gone"):
            one.push("team/deleted", tag, [os.urandom(20_000)])
        before = other.pull("team/deleted", "kept")
        self.change("delete", lambda: self.images.delete("team/deleted:kept", "team/deleted:gone"))
        for client in self.clients:
            assert client.status("GET", "/v2/team/deleted/manifests/kept") == 404
        self.change("restore", lambda: self.images.restore("team/deleted:kept"))
        assert other.pull("team/deleted", "kept") == before

    def _collect(self, *, purges: bool) -> None:
        def collect() -> ImagesChange:
            looks = (1.0, 10.0)
            return self.images.collect(young=YOUNG, grace=GRACE, looks=looks, purges=purges)[1]

        self.change("purge" if purges else "collect", collect)

    def _kill_collection(self, after: float) -> None:
        process = self.call.start(
            "images", "collect", "moorage.yml", "--yes", "--grace", f"{GRACE:.0f}s", "--young",
            f"{YOUNG:.0f}s", "--untagged-now", "--purge",
        )  # fmt: skip
        time.sleep(after)
        process.kill()
        process.communicate()
        self.did["killed" if process.returncode == -9 else "ended before the kill"] += 1

    def change(self, what: str, act: Callable[[], ImagesChange | None]) -> None:
        """Make a change, once the run of a process that was killed has ended."""
        end = time.monotonic() + PATIENCE
        while True:
            result = act()
            if result is None or result.ended.status is not RunStatus.LOCKED:
                break
            assert time.monotonic() < end, (result, self.images.log[-20:])
            self.did["waited for a lock"] += 1
            time.sleep(2)
        self.did[what] += 1
        if result is None:
            return
        assert result.is_good, (what, result, self.images.log[-30:])
        self.held = max(self.held, result.numbers.get("held_ms", 0))
        for name in ("tags", "blobs", "bytes", "purged"):
            self.did[name] += result.numbers.get(name, 0)


def test_everything_at_once_loses_nothing(
    operator: Operator, servers: BootServers, s3: ObjectStore, call: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    machines = servers(2)
    keys = {"S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    call.environment |= keys
    storage = {"driver": "s3", "s3": {
        "bucket": s3.bucket, "region": s3.region, "regionendpoint": s3.endpoint, "secure": False,
        "accesskey": {"env": "S3_ACCESS_KEY"}, "secretkey": {"env": "S3_SECRET_KEY"},
        "rootdirectory": "/soak",
    }}  # fmt: skip
    retention = [{"repositories": ["temporary/*"], "keep": {"last": 3}}]
    answers = operator.answers(machines, storage=storage, retention=retention)
    operator.install(answers)
    call.write_answers(*machines, storage=storage, retention=retention)
    images = Images(operator, answers)
    pool = [os.urandom(30_000) for _ in range(10)]
    clients = [
        TemporaryImages(number, [client_of(operator, each) for each in machines], pool)
        for number in range(CLIENTS)
    ]
    owner = Owner(images, [client_of(operator, each) for each in machines], call)
    began = time.monotonic()
    for client in clients:
        client.start()
    try:
        owner.work(began + SECONDS)
    finally:
        for client in clients:
            client.stop()
    took = time.monotonic() - began
    waits = sorted(wait for each in clients for image in each.images for wait in image.waits)
    pushes = sum(client.pushes for client in clients)
    say(
        f"{took:.0f} s, load {os.getloadavg()[0]:.1f}: {2 * pushes} pushes, {dict(owner.did)}; "
        f"writes held {owner.held} ms at most; {len(waits)} writes of clients: "
        f"median {1000 * waits[len(waits) // 2]:.0f} ms, "
        f"99 % within {waits[int(len(waits) * 0.99)]:.2f} s, slowest {waits[-1]:.2f} s"
    )
    failures = [failure for client in clients for failure in client.failures]
    assert failures == [], "\n" + "\n".join(failures)
    assert owner.held < 2000
    for client in clients:
        for (repository, tag), content in client.latest.items():
            assert owner.clients[0].pull(repository, tag) == content
    _pull_everything(images, owner.clients)
    # Nothing dead is left when the clients are gone.
    time.sleep(CLOCK_STEP + 1)
    owner.change("purge", lambda: images.collect(purges=True)[1])
    _pull_everything(images, owner.clients)
    stored = images.read()
    limits = Limits(float("inf"), 0.0, takes_untagged=True)
    assert not find_alive(stored.tree, stored.manifests, limits).dead_blobs(stored.tree)


def _pull_everything(images: Images, clients: list[ImageClient]) -> None:
    """Pull every image that the bucket has a tag of from each server, and check its digests."""
    tags = [
        (name, tag, entry.digest)
        for name, repository in images.read().tree.repositories.items()
        for tag, entry in repository.tags.items()
    ]
    assert tags
    for repository, tag, digest in tags:
        for client in clients:
            assert digest in client.pull(repository, tag), (repository, tag)
    say(f"{len(tags)} images pulled from {len(clients)} servers, all of their digests are right")
