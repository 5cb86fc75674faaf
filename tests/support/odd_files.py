"""Paths that no file can be read from, of every kind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

NUL = "with a NUL"
"""The kind that no argument of a program can be."""


def odd_paths(folder: Path) -> dict[str, str]:
    """Create files that cannot be read in a folder, and return their paths by kind.

    Args:
        folder: The folder.
    """
    (folder / "folder").mkdir()
    (folder / "plain").write_bytes(b"")
    (folder / "broken").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path is at most 107 characters long
        listener.bind("socket")
        os.chdir(here)
    return {
        "missing": str(folder / "missing"),
        "relative": "no/such/file",
        "in a file": str(folder / "plain" / "file"),
        "broken link": str(folder / "broken"),
        "loop": str(folder / "loop"),
        "folder": str(folder / "folder"),
        "pipe": str(folder / "pipe"),
        "socket": str(folder / "socket"),
        "device without end": "/dev/zero",
        "too long": str(folder / ("x" * 300)),
        "unknown account": "~no-such-account/file",
        "not UTF-8": f"{folder}/\udcff",
        NUL: f"{folder}/a\0b",
    }


FAULTS = {
    "missing": "cannot be read: no such file or directory",
    "relative": "cannot be read: no such file or directory",
    "in a file": "cannot be read: not a directory",
    "broken link": "cannot be read: no such file or directory",
    "loop": "cannot be read: too many levels of symbolic links",
    "folder": "is a directory",
    "pipe": "is a pipe",
    "socket": "is a socket",
    "device without end": "is a device",
    "too long": "cannot be read: file name too long",
    "unknown account": "cannot be found: this machine has no account no-such-account",
    "not UTF-8": "cannot be read: no such file or directory",
    NUL: "cannot exist: its path contains a NUL character",
}
"""What Moorage says about each, after the path."""
