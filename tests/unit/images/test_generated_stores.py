"""Collecting stores with everything that registries have, against a plain reading of the rules.

`make large-store` does the same with 1,000 repositories, and pulls from each registry that
MOORAGE_STORE_REGISTRIES names, before and afterwards.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import os
import random
import socket
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from collector_process import CollectorAtWork, nginx_that_holds
from generated_registry import GeneratedRegistry
from plain_collector import PlainCollector
from registry_process import PING, answers_to, registry_process
from thorough import IS_THOROUGH

from lab.machine import say
from moorage.images.manifests import IMAGES, INDEXES
from moorage.images.sweep import TRASH

REPOSITORIES = int(os.environ.get("MOORAGE_STORE_REPOSITORIES", "14"))
IS_LARGE = REPOSITORIES > 100
TAGS = 20 if IS_LARGE else 4
SEEDS = range(1 if IS_LARGE else 60 if IS_THOROUGH else 3)

MEDIA_TYPES = sorted(INDEXES | IMAGES)


def contents(root: Path) -> dict[str, bytes]:
    v2 = root / "docker/registry/v2"
    return {
        str(path.relative_to(v2)): path.read_bytes() for path in v2.rglob("*") if path.is_file()
    }


def pull_everything(root: Path, folder: Path) -> dict[tuple[str, str, str], set[str]]:
    """Pull tags, of a large store each tenth; returns their digests by registry and tag."""
    found = {}
    for program in filter(None, os.environ.get("MOORAGE_STORE_REGISTRIES", "").split(":")):
        config = (
            f"version: 0.1\nlog: {{level: error}}\nhttp: {{net: unix, addr: {folder}/r/socket}}\n"
            f"storage: {{filesystem: {{rootdirectory: {root}}}}}\n"
        )
        with registry_process(Path(program), config, folder / "r") as process:
            assert answers_to(process, folder / "r/socket", PING)
            with closing(UnixConnection(folder / "r/socket")) as connection:
                repositories = root / "docker/registry/v2/repositories"
                for path in sorted(repositories.glob("**/_manifests/tags/*")):
                    name = str(path.parents[2].relative_to(repositories))
                    if zlib.crc32(f"{name}:{path.name}".encode()) % (10 if IS_LARGE else 1):
                        continue
                    digests = pull(connection, name, path.name)
                    if digests is not None:
                        found[program, name, path.name] = digests
    return found


def pull(connection: UnixConnection, name: str, reference: str) -> set[str] | None:
    """Return the digests of an image and its parts; None if something of it is missing."""
    content = connection.get(f"/v2/{name}/manifests/{reference}")
    if content is None:
        return None
    found, manifest = {f"sha256:{hashlib.sha256(content).hexdigest()}"}, json.loads(content)
    if manifest["schemaVersion"] == 1:
        return set()  # Registry 2.8 signs it anew.
    for part in (*manifest.get("layers", ()), *filter(None, [manifest.get("config")])):
        layer = connection.get(f"/v2/{name}/blobs/{part['digest']}")
        if layer is None:
            return None
        algorithm, _, value = part["digest"].partition(":")
        assert hashlib.new(algorithm, layer).hexdigest() == value
        found.add(part["digest"])
    for child in manifest.get("manifests", ()):
        below = pull(connection, name, child["digest"])
        if below is not None:
            found |= below
    return found


class UnixConnection(http.client.HTTPConnection):
    """A connection to a registry on a socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("registry")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))

    def get(self, path: str) -> bytes | None:
        self.request("GET", path, headers={"Accept": ", ".join(MEDIA_TYPES)})
        answer = self.getresponse()
        content = answer.read()
        return content if answer.status == 200 else None


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_alive_stays_and_nothing_dead_does(tmp_path: Path, seed: int) -> None:
    generated = GeneratedRegistry(tmp_path / "images", seed, REPOSITORIES, TAGS)
    generated.write(pause=0.1)
    before, pulled = contents(generated.root), pull_everything(generated.root, tmp_path)
    plain = PlainCollector(generated.root, generated.young_since)
    dead = plain.dead()
    server = CollectorAtWork(tmp_path / "server", generated.root)
    with nginx_that_holds(server.folder / "web"):
        server.young_since = generated.young_since
        (status, *_), log = server.run()
        assert status == "done", log
        after = contents(generated.root)
        say(f"{len(before)} files, {len(pulled)} images pulled, {len(dead)} files collected")
        assert dead - before.keys() == set()
        assert before.keys() - after.keys() - dead == set(), "alive, and gone"
        assert after.keys() & dead == set(), "dead, and still there"
        assert after == {path: content for path, content in before.items() if path not in dead}
        alive = {key: each for key, each in pulled.items() if key[1:] in plain.live_tags}
        assert pull_everything(generated.root, tmp_path) == alive
        (status, *_), log = server.run(action="restore")
        assert status == "done", log
    assert contents(generated.root) == before
    assert not list((generated.root / TRASH).glob("[!.]*"))


@pytest.mark.parametrize("how", ["killed", "disk full"])
def test_interrupted_nothing_alive_is_lost_and_the_next_run_continues(
    tmp_path: Path, how: str
) -> None:
    generated = GeneratedRegistry(tmp_path / "images", 100, 6, 4)
    generated.write(pause=0.0)
    before = contents(generated.root)
    # What was put back has been written just now, so nothing counts as young.
    dead = PlainCollector(generated.root, math.inf).dead()
    alive = {path: content for path, content in before.items() if path not in dead}
    server = CollectorAtWork(tmp_path / "server", generated.root)
    server.young_since = math.inf
    chance, sign = random.Random(how), 1 if how == "killed" else -1
    with nginx_that_holds(server.folder / "web"):
        for _ in range(40 if IS_THOROUGH else 4):
            server.run(killed_after=sign * chance.randint(1, 3 * len(dead)))
            assert contents(generated.root).items() >= alive.items()
            server.run(killed_after=sign * chance.randint(1, len(dead)), action="restore")
            assert contents(generated.root).items() >= alive.items()
        (status, *_), log = server.run()
        assert status == "done", log
        assert contents(generated.root) == alive
        # The trash is emptied, with interruptions.
        for _ in range(10 if IS_THOROUGH else 2):
            server.run(killed_after=sign * chance.randint(1, 2 * len(dead)), purges=True)
            assert contents(generated.root) == alive
        (status, *_), log = server.run(purges=True)
        assert status == "done", log
    assert contents(generated.root) == alive
    assert not list((generated.root / TRASH).glob("[!.]*"))
