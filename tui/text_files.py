"""Text that is saved to a file of its own."""

from __future__ import annotations

import time
from pathlib import Path

from moorage.state import private_folder, write_private


def save_text(folder: str, name: str, text: str) -> Path:
    """Write a text to a new file that only the operator can read, and return its path.

    Args:
        folder: The folder below the state folder.
        name: The end of the file's name.
        text: The text.
    """
    safe = "".join(each if each.isalnum() or each in ".-" else "_" for each in name)
    path = private_folder(folder) / f"{time.strftime('%Y%m%d-%H%M%S')}-{safe}"
    write_private(path, f"{text}\n".encode())
    return path
