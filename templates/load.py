"""Load templates from wherever the package is installed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def shell_script(name: str) -> str:
    """Return a shell script that runs on servers, for example ``probe.sh``."""
    return (FOLDER / "shell" / name).read_text(encoding="utf-8")


@cache
def shell_scripts(folder: str) -> dict[str, str]:
    """Return the shell scripts in a folder, by file name."""
    paths = sorted((FOLDER / "shell" / folder).glob("*.sh"))
    return {path.name: path.read_text(encoding="utf-8") for path in paths}
