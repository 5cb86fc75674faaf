"""Snapshots: the disks of servers that were set up, from which others boot as copies."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.record import ServerRecord
from lab.rootfs import RootImage
from lab.state import write_json

_DESCRIPTION = "snapshot.json"
_OWN = ("etc/machine-id", "var/log/journal")
"""What a copy has to have for itself."""


@dataclass(frozen=True)
class Snapshot:
    """A server's changes to its image, which copies share and do not write to.

    Attributes:
        folder: The snapshot's folder.
        address: The address of the server that it was taken of.
        image: That server's image, with the changes as its uppermost layer.
        mentions: The files with that address, as paths below the root folder.
    """

    folder: Path
    address: str
    image: RootImage
    mentions: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> Snapshot:
        """Read a snapshot.

        Args:
            folder: Its folder.

        Raises:
            LabError: It is missing.
        """
        try:
            data = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        except OSError as error:
            raise LabError(f"there is no snapshot in {folder}") from error
        layers = tuple(Path(layer) for layer in data["layers"])
        image = RootImage(data["suite"], data["variant"], layers)
        return cls(folder, data["address"], image, tuple(data["mentions"]))

    @classmethod
    def take(cls, record: ServerRecord, changes: Path, folder: Path) -> Snapshot:
        """Move a stopped and unmounted server's changes into a new snapshot.

        Args:
            record: The server's record.
            changes: The overlay layer with its changes.
            folder: The snapshot's folder, on the same filesystem.
        """
        layer = folder / "layer"
        folder.mkdir(parents=True, exist_ok=True)
        changes.rename(layer)
        (layer / _OWN[0]).unlink(missing_ok=True)
        shutil.rmtree(layer / _OWN[1], ignore_errors=True)
        grep = ["grep", "-rlZIwF", "--devices=skip", "-e", record.address, "."]
        found = subprocess.run(grep, cwd=layer, capture_output=True, text=True, check=False).stdout
        write_json(
            folder / _DESCRIPTION,
            {
                "address": record.address,
                "suite": record.suite,
                "variant": record.variant,
                "layers": [str(layer), *record.layers],
                "mentions": [name for name in found.split("\0") if name],
            },
        )
        return cls.load(folder)

    def readdress(self, root: Path, address: str) -> None:
        """Give a copy its own address in the files that mention one.

        Args:
            root: The copy's root folder, before it boots.
            address: The copy's address.
        """
        for name in self.mentions:
            file = root / name
            before = file.stat()
            file.write_text(replace_address(file.read_text("utf-8"), self.address, address))
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def is_snapshot(layer: Path) -> bool:
    """Return whether a server's uppermost layer is a snapshot's.

    Args:
        layer: The layer.
    """
    return (layer.parent / _DESCRIPTION).is_file()


def replace_address(text: str, old: str, new: str) -> str:
    """Replace an IP address in a text.

    Args:
        text: The text.
        old: The address to replace, but not as a part of a longer one.
        new: The address to insert.
    """
    return re.sub(rf"(?<![\d.]){re.escape(old)}(?!\d)", new, text)
