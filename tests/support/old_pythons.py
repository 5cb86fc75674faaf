"""Interpreters as old as those of the servers, if this machine has them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

VERSIONS = ("3.9", "3.10")
"""Those of Debian 11 and Ubuntu 22.04."""


def find_python(version: str) -> str | None:
    """Return an interpreter of a version, also one that pyenv has installed; None without one."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    candidates = [shutil.which(f"python{version}"), *map(str, installed)]
    return next((each for each in candidates if each is not None and _runs(each)), None)


def _runs(path: str) -> bool:
    # pyenv puts programs in the path that only say that a version is not chosen.
    return subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
