"""Where the lab keeps its things, and the locks that keep two processes apart."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEFAULT_FOLDER = Path("/var/lib/moorage-lab")


@dataclass(frozen=True)
class LabFolder:
    """The folder that holds images, servers and keys; shared by all processes that use it."""

    path: Path

    @classmethod
    def from_environment(cls) -> LabFolder:
        """Use MOORAGE_LAB_DIR, or /var/lib/moorage-lab."""
        return cls(Path(os.environ.get("MOORAGE_LAB_DIR") or DEFAULT_FOLDER).absolute())

    @property
    def tag(self) -> str:
        """Six characters that tell this folder's interfaces and rules from another folder's."""
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:6]

    @property
    def keys(self) -> Path:
        """The SSH keys that open every server."""
        return self.path / "keys"

    @property
    def images(self) -> Path:
        """The root filesystems that servers start from."""
        return self.path / "images"

    @property
    def container_images(self) -> Path:
        """Archives for `docker load`."""
        return self.path / "container-images"

    @property
    def servers(self) -> Path:
        """One folder per server."""
        return self.path / "servers"

    @property
    def leases(self) -> Path:
        """One file per process that needs the network."""
        return self.path / "leases"

    @property
    def services(self) -> Path:
        """One file per service that runs on this machine for the servers."""
        return self.path / "services"

    @property
    def network(self) -> Path:
        """What the network looks like while it exists."""
        return self.path / "network.json"

    def packages(self, suite: str) -> Path:
        """Return the folder of the .deb files that were downloaded before.

        Args:
            suite: The Debian release's code name.
        """
        return self.path / "packages" / suite

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep every other thread and process out until the block ends.

        Args:
            name: What is locked.
        """
        folder = self.path / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("w") as file:
            # A new open file each time: flock then also holds threads of one process apart.
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file so that a reader sees the old or the new one, never a half.

    Args:
        path: The file; its folder is created.
        content: What it holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.rename(path)
