"""The Images screen with 20,000 tags: time to the first rows, and latency of keys.

Prints the time from having the images to the first painted rows, from each key to the painted
result (Pilot), and the same for keys pressed while images are read. On a busy machine, only the
processor time of the interface's thread can be compared.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.deploy.images.activity import Activity
from moorage.deploy.images.read import ImagesRead
from moorage.deploy.plan.store import Store
from moorage.images.manifests import Descriptor, Manifest
from moorage.images.read import Stored
from moorage.images.tree import File, Repository, Tag
from moorage.servers.facts import Disk, Facts

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from screens.images.screen import ImagesScreen

REPOSITORIES = 1000
TAGS = 20
"""The number of tags of each repository."""
KEYS = (
    *("down",) * 20, "pagedown", "pagedown", "end", "home", "right", *("down",) * 10, "s", "left",
    "s", "s", "s", "s", "slash", *"app1", "backspace", "0", "enter", *("down",) * 5, "escape",
    "slash", *"*:v1?", "enter", "down", "down", "right", "down", "left", "escape",
)  # fmt: skip
"""A round of keys: moving, sorting, and finding a text and a pattern."""
ROUNDS = 5
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Answer:
    """The time from a key to its painted result, in seconds.

    Attributes:
        took: The time that passed.
        processor: The processor time that the interface's thread used.
    """

    took: float
    processor: float


@dataclass(frozen=True)
class Measurement:
    """The results.

    Attributes:
        measured: Seconds for measuring the images and preparing to find them.
        first_rows: Seconds for painting the first rows after that.
        keys: The answers to the keys.
        while_reading: The same while images are prepared again.
    """

    measured: float
    first_rows: float
    keys: Sequence[Answer]
    while_reading: Sequence[Answer]


def generated(repositories: int = REPOSITORIES, tags: int = TAGS) -> Stored:
    """Return a registry whose images have two layers each, and three that repositories share."""
    stored, now = Stored(), time.time()

    def blob(name: str, size: int) -> Descriptor:
        digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        stored.tree.blobs[digest] = File(now - 1e6, now - 1e6, size)
        return Descriptor(digest, size, _LAYER)

    for number in range(repositories):
        name = f"team-{number % 20}/app{number}"
        repository = stored.tree.repositories[name] = Repository()
        shared = [blob(f"shared {number % 50} {layer}", 10_000_000) for layer in range(3)]
        for tag in range(tags):
            layers = [blob(f"own {number} {tag} {layer}", 1_000_000) for layer in range(2)]
            config = blob(f"config {number} {tag}", 2_000)
            digest = blob(f"manifest {number} {tag}", 1_000).digest
            link = File(now - tag * 3600 - 1e5, now - tag * 3600 - 1e5, 71)
            stored.manifests[digest] = Manifest(
                digest, "application/vnd.oci.image.manifest.v1+json", 1_000, config,
                (*shared, *layers),
            )  # fmt: skip
            repository.manifests[digest] = link
            repository.blobs |= {part.digest: link for part in (*shared, *layers, config)}
            repository.tags[f"v{tag}"] = Tag(digest, link, {digest: link})
    return stored


def images_read() -> ImagesRead:
    """Return these images as if they were read from a server."""
    store = Store("alpha", "/var/lib/moorage/registry")
    facts = Facts("alpha", disks=(Disk("/", 100 * 1024**3, 50 * 1024**3),))
    return ImagesRead("registry.example.com", store, generated(), time.time(), facts)


async def measure(rounds: int = ROUNDS) -> Measurement:
    """Show many images, and press keys."""
    from moorage.answers.model import Answers
    from screens.images.screen import ImagesScreen
    from screens.images.source import Images, ImagesOnServers, prepare
    from tui.app import WizardApp
    from tui.tasks import in_thread

    read = images_read()
    gc.freeze()  # as the wizard does with what it has loaded

    class Source(ImagesOnServers):
        def read(self) -> Images:
            return prepare(read, Activity())

    app = WizardApp()
    async with app.run_test(size=(120, 40)) as pilot:
        answers = Answers.model_validate({
            "registry": {"domain": "registry.example.com"},
            "servers": [{"host": "alpha"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        })  # fmt: skip
        screen = ImagesScreen(Source(answers, app.opening.asker), "registry.example.com")
        await app.push_screen(screen)
        while screen.is_reading:
            await pilot.pause(0.01)
        began = time.perf_counter()
        images = await in_thread(lambda: prepare(read, Activity()))
        prepared = time.perf_counter()
        screen.show_images(images)
        await _painted(screen)
        shown = time.perf_counter()
        keys = [await _press(pilot, screen, key) for _ in range(rounds) for key in KEYS]
        while_reading: list[Answer] = []
        for _ in range(rounds):
            screen.action_read()
            while screen.is_reading:
                while_reading.append(await _press(pilot, screen, "down"))
                await asyncio.sleep(0.02)
        app.exit()
    return Measurement(prepared - began, shown - prepared, keys, while_reading)


async def _press(pilot: Pilot[int], screen: ImagesScreen, key: str) -> Answer:
    """Press a key and wait until its result is painted."""
    from textual import events
    from textual.keys import _character_to_key

    name = _character_to_key(key) if len(key) == 1 else key
    began, used = time.perf_counter(), time.thread_time()
    pilot.app.post_message(events.Key(name, key if len(key) == 1 else None))
    await asyncio.sleep(0)
    while pilot.app._typed_keys:  # type: ignore[attr-defined] # emptied once it has taken effect
        await asyncio.sleep(0)
    await _painted(screen)
    return Answer(time.perf_counter() - began, time.thread_time() - used)


async def _painted(screen: ImagesScreen) -> None:
    painted = asyncio.Event()
    screen.call_after_refresh(painted.set)
    await painted.wait()


def main() -> None:
    """Measure and print the results."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOORAGE_STATE"] = folder
        found = asyncio.run(measure())
    print(
        f"{REPOSITORIES * TAGS:,} tags in {REPOSITORIES:,} repositories: "
        f"measured in {1000 * found.measured:.0f} ms, "
        f"first rows {1000 * found.first_rows:.0f} ms later"
    )
    for name, keys in (("keys", found.keys), ("keys while reading", found.while_reading)):
        print(f"{len(keys)} {name}: {_figures([each.took for each in keys])}")
        print(f"    processor time: {_figures([each.processor for each in keys])}")
    print(f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def _figures(seconds: Sequence[float]) -> str:
    milliseconds = sorted(1000 * each for each in seconds)
    worst = milliseconds[min(len(milliseconds) - 1, int(len(milliseconds) * 0.99))]
    return (
        f"median {statistics.median(milliseconds):.1f} ms, 99 % within {worst:.1f} ms, "
        f"slowest {milliseconds[-1]:.1f} ms"
    )


if __name__ == "__main__":
    main()
