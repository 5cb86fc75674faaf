"""Fill a registry's storage with everything that registries have, at random."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stored_registry import StoredRegistry

_DOCKER = "application/vnd.docker.distribution"
_NAMES = ("app", "app-x", "app.x", "app/b", "app_b", "app/b/c", "link", "current/data", "blobs")
"""Names that are parts of others, sort oddly, or are also the names of files."""
_TAGS = (
    "latest", "1.2", "1.2.1", "1.2-x", "1.20", "V_1", "_", "link", "current", "index", "sha256",
    "a" * 128, "sha256-short", "moved", "0.1.2", "0.1.20",
)  # fmt: skip


@dataclass
class GeneratedRegistry:
    """A registry's storage with a random content; the same for the same seed.

    Args:
        root: The storage's root folder.
        seed: The seed.
        repositories: The number of repositories.
        tags: The number of ordinary tags in each, about.
    """

    root: Path
    seed: int
    repositories: int
    tags: int
    young_since: float = 0.0
    _bases: list[bytes] = field(default_factory=list)
    _manifests: list[dict[str, Any]] = field(default_factory=list)
    _untagged: list[dict[str, Any]] = field(default_factory=list)
    _mounted: dict[str, str] = field(default_factory=dict)
    """By repository, a layer that nothing needs until it is mounted."""

    def __post_init__(self) -> None:
        self.registry = StoredRegistry(self.root)
        self._chance = random.Random(self.seed)
        self._number = 0
        self._bases = [self._content() for _ in range(max(3, self.repositories // 20))]

    def write(self, pause: float) -> None:
        """Write it.

        Args:
            pause: Seconds between what is old and what is young.
        """
        names = [self._name(number) for number in range(self.repositories)]
        self._image("old/without-tags")
        for name in names:
            self._repository(name)
        for number in range(1 + self.repositories // 5):
            self._orphan(number)
        time.sleep(pause)
        self.young_since = time.time()
        for name in self._chance.sample(names, max(1, len(names) // 20)):
            self._young(name)
        for name, digest in self._mounted.items():
            self._link(name, f"_layers/{digest.replace(':', '/')}").write_text(digest)

    def _name(self, number: int) -> str:
        if number < len(_NAMES):
            return _NAMES[number]
        return f"team{number % 20}/{self._chance.choice(_NAMES)}/{number}"

    def _repository(self, name: str) -> None:
        for tag in range(self.tags):
            at = tag if tag < len(_TAGS) else 0
            self._image(name, f"v{tag}" if at == 0 else self._chance.choice((_TAGS[at], f"v{tag}")))
        for _ in range(max(4, self.tags // 4)):
            self._chance.choice(self._rarities())(name)
        if self._chance.random() < 0.15:
            self._chance.choice((self._unknown, self._schema1, self._damaged, self._gone))(name)

    def _rarities(self) -> list[Callable[[str], object]]:
        return [
            self._moved, self._multi_platform, self._nested, self._attested, self._cosigned,
            self._upload, self._layer_only, self._torn_tag, self._ghost, self._by_sha512,
            self._buildkit_cache, self._untagged_referrers, self._foreign, self._unlinked_child,
            self._without_child,
        ]  # fmt: skip

    def _content(self) -> bytes:
        self._number += 1
        return f"{self.seed} {self._number} ".encode() * self._chance.randint(1, 20)

    def _layer(self, name: str) -> dict[str, Any]:
        if self._chance.random() < 0.4:
            return self.registry.blob(name, self._chance.choice(self._bases))
        return self.registry.blob(name, self._content())

    def _layers(self, name: str) -> list[dict[str, Any]]:
        return [self._layer(name) for _ in range(self._chance.randint(0, 4))]

    def _image(self, name: str, *tags: str, **more: Any) -> dict[str, Any]:
        more.setdefault("annotations", {"n": self._content().decode()})
        kind = self._chance.random()
        if kind < 0.3:
            config = self.registry.blob(name, self._content())
            image = self.registry.manifest(name, {
                "mediaType": f"{_DOCKER}.manifest.v2+json", "config": config,
                "layers": self._layers(name), **more,
            }, *tags)  # fmt: skip
        else:
            image = self.registry.image(name, self._layers(name), *tags, **more)
        self._manifests.append(image)
        if not tags:
            self._untagged.append(image)
        return image

    def _moved(self, name: str) -> None:
        for _ in range(3):
            self._image(name, "moved")

    def _multi_platform(self, name: str) -> dict[str, Any]:
        children = [
            {**self._image(name), "platform": {"os": "linux", "architecture": each}}
            for each in ("amd64", "arm64", "unknown")
        ]
        tags = self._chance.choice(((), ("multi",), ("multi", "latest")))
        return self.registry.index(name, children, *tags)

    def _nested(self, name: str) -> None:
        inner = self.registry.index(name, [self._multi_platform(name), self._image(name)])
        self.registry.index(name, [inner, self._image(name)], *self._chance.choice(((), ("deep",))))

    def _attested(self, name: str) -> None:
        about = self._chance.choice(self._manifests)
        first = self._image(name, subject=about)
        self._image(self._chance.choice((name, "referrers/elsewhere")), subject=first)
        self._image(name, subject={**about, "digest": f"sha256:{'0' * 64}"})

    def _untagged_referrers(self, name: str) -> None:
        first = self._image(name, subject=self._image(name))
        self._image(name, subject=first)

    def _cosigned(self, name: str) -> None:
        others = [self._chance.choice(each)["digest"] for each in (self._manifests, self._untagged)]
        for about in (*others, f"sha256:{'1' * 64}"):
            for end in ("", ".sig", ".att", ".sbom"):
                if self._chance.random() < 0.6:
                    self._image(name, about.replace(":", "-") + end)
        signature = f"{self._image(name)['digest'].replace(':', '-')}.sig"
        signed = self._image(name, signature)
        self._image(name, f"{signed['digest'].replace(':', '-')}.sig")

    def _upload(self, name: str) -> None:
        folder = f"repositories/{name}/_uploads/{self._chance.getrandbits(64):016x}"
        self.registry.write(f"{folder}/startedat", b"2026-01-01T00:00:00Z")
        self.registry.write(f"{folder}/data", self._content())
        self.registry.write(f"{folder}/hashstates/sha256/12", b"state")

    def _layer_only(self, name: str) -> None:
        self._layer(name)
        digest = self.registry.blob(name, self._content())["digest"]
        self._data(digest).unlink()
        content = self._content()
        self.registry.blob_by_sha512(name, content)
        self._mounted[name] = f"sha256:{hashlib.sha256(content).hexdigest()}"

    def _torn_tag(self, name: str) -> None:
        for _ in range(2):
            self._image(name, "torn")
        self._link(name, "_manifests/tags/torn/current").write_bytes(b"")

    def _ghost(self, name: str) -> None:
        self._image(name, "ghost")
        self._link(name, "_manifests/tags/ghost/current").unlink()

    def _by_sha512(self, name: str) -> None:
        for tags in ((), ("by-sha512",)):
            self.registry.image(name, [self.registry.blob_by_sha512(name, self._content())], *tags)

    def _buildkit_cache(self, name: str) -> None:
        children = [self._layer(name), self.registry.blob(name, self._content())]
        self.registry.index(name, children, *self._chance.choice(((), ("cache",))))

    def _unlinked_child(self, name: str) -> None:
        """A tag whose manifest was deleted by its digest."""
        image = self._image(name, "unlinked")
        self._link(name, f"_manifests/revisions/{image['digest'].replace(':', '/')}").unlink()

    def _without_child(self, name: str) -> None:
        """An index one of whose images was deleted by its digest."""
        left, deleted = self._image(name), self._image(name)
        tags = self._chance.choice((("partly",), ()))
        inner = self.registry.index(name, [left, deleted], *tags)
        self.registry.index(name, [inner, deleted], *self._chance.choice((("partly-deep",), ())))
        self._link(name, f"_manifests/revisions/{deleted['digest'].replace(':', '/')}").unlink()
        if self._chance.random() < 0.3:
            self._data(deleted["digest"]).unlink()
        self._manifests.remove(deleted)
        self._untagged.remove(deleted)

    def _foreign(self, name: str) -> None:
        for folder in ("_manifests/tags/latest", "_manifests", ""):
            self.registry.write(f"repositories/{name}/{folder}/notes of\nmine.txt", b"mine")
        self.registry.write(f"repositories/{name}/_layers/sha256/link.1234.tmp", b"sha256:")

    def _unknown(self, name: str) -> None:
        self.registry.manifest(
            name, {"mediaType": "application/vnd.example.unknown", "config": self._layer(name)},
            *self._chance.choice(((), ("unknown",))),
        )  # fmt: skip

    def _schema1(self, name: str) -> None:
        layer = self._layer(name)
        parsed = {
            "schemaVersion": 1, "mediaType": f"{_DOCKER}.manifest.v1+prettyjws", "name": name,
            "fsLayers": [{"blobSum": layer["digest"]}],
        }  # fmt: skip
        self.registry.manifest(name, parsed, *self._chance.choice(((), ("schema1",))))

    def _damaged(self, name: str) -> None:
        image = self._image(name, *self._chance.choice(((), ("damaged",))))
        self._data(image["digest"]).write_bytes(self._chance.choice((b"", b"{", b"{}")))

    def _gone(self, name: str) -> None:
        image = self._image(name, *self._chance.choice(((), ("gone",))))
        self._data(image["digest"]).unlink()

    def _orphan(self, number: int) -> None:
        name = f"orphans/{number}"
        digest = self.registry.blob(name, self._content())["digest"]
        self._link(name, f"_layers/{digest.replace(':', '/')}").unlink()

    def _young(self, name: str) -> None:
        """Store pushes in progress: layers whose manifest comes later, manifests without a tag."""
        self._layer(name)
        self._image(name)
        self._multi_platform(name)
        self._untagged_referrers(name)
        self._image(name, f"{self._chance.choice(self._untagged)['digest'].replace(':', '-')}.sig")

    def _data(self, digest: str) -> Path:
        return self.registry.v2 / f"blobs/sha256/{digest[7:9]}/{digest[7:]}/data"

    def _link(self, name: str, folder: str) -> Path:
        return self.registry.v2 / f"repositories/{name}/{folder}/link"
