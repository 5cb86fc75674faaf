"""Put back what an interrupted sweep has moved, before the registry starts.

moorage-recover.service runs it once after each boot, with the storage's root folder and Moorage's
state folder. It needs nothing but the standard library.
"""

from __future__ import annotations

import fcntl
from pathlib import Path

from moorage.images.sweep import recover


def main(root: str, state: str) -> int:
    """Put everything back, unless a run is working on the images, which does so itself.

    Args:
        root: The storage's root folder.
        state: Moorage's state folder.
    """
    with (Path(state) / "images.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("a run is working on the images")
            return 0
        for run in recover(Path(root)):
            print(f"put back what run {run} had moved when it was interrupted")
    return 0
