"""Finds the templates, wherever the package is installed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def shell_script(name: str) -> str:
    """Return one of the shell scripts that run on servers, for example ``probe.sh``."""
    return (FOLDER / "shell" / name).read_text(encoding="utf-8")


@cache
def shell_scripts(folder: str) -> dict[str, str]:
    """Return the shell scripts that belong together on a server, by name."""
    paths = sorted((FOLDER / "shell" / folder).glob("*.sh"))
    return {path.name: path.read_text(encoding="utf-8") for path in paths}
