"""Moorage's state on the operator's machine: private CA, recent deployments, drafts, logs."""

from __future__ import annotations

import os
from pathlib import Path

from moorage.local_file import expand


def state_folder() -> Path:
    """Return the folder with Moorage's own state; ``MOORAGE_STATE`` overrides it."""
    override = os.environ.get("MOORAGE_STATE")
    if override:
        return expand(override, "state folder")
    from platformdirs import user_data_path

    return user_data_path("moorage", appauthor=False)


def private_folder(*names: str) -> Path:
    """Return a folder below the state folder, creating it with mode 0700 if missing."""
    folder = state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names:
        folder = folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def short_path(path: Path) -> str:
    """Return a path with ~ for the home folder."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except ValueError:
        return str(path)
