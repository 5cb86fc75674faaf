"""The lab's folder, and the locks that processes share."""

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
    """The folder with images, servers and keys, which several processes can use at once."""

    path: Path

    @classmethod
    def from_environment(cls) -> LabFolder:
        """Return MOORAGE_LAB_DIR, or /var/lib/moorage-lab."""
        return cls(Path(os.environ.get("MOORAGE_LAB_DIR") or DEFAULT_FOLDER).absolute())

    @property
    def tag(self) -> str:
        """Six characters that identify this folder's interfaces and firewall rules."""
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:6]

    @property
    def keys(self) -> Path:
        """The SSH keys for all servers."""
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
    def snapshots(self) -> Path:
        """One folder per process whose children share snapshots, with one per snapshot."""
        return self.path / "snapshots"

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
        """The description of the network, while it exists."""
        return self.path / "network.json"

    def packages(self, suite: str) -> Path:
        """Return the folder of downloaded .deb files.

        Args:
            suite: The Debian release's code name.
        """
        return self.path / "packages" / suite

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock against other threads and processes during the block.

        Args:
            name: The lock's name.
        """
        folder = self.path / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("w") as file:
            # Each call opens the file anew, so that flock also works between threads.
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file atomically.

    Args:
        path: The file; its folder is created.
        content: The content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.rename(path)
