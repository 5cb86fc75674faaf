"""Asks which answers file to open."""

from __future__ import annotations

from pathlib import Path

from moorage.local_file import file_fault
from tui.widgets.dialog import TextDialog

_MOST_NAMED = 3
"""Files of the current folder that the help lists."""


class OpenFileDialog(TextDialog):
    """Asks for an answers file; refuses a path that does not exist or is a folder."""

    def __init__(self) -> None:
        here = sorted(str(each) for each in Path().glob("*.yml") if each.is_file())
        more = ", …" if len(here) > _MOST_NAMED else ""
        offered = f"Press ↓ for the files in this folder: {', '.join(here[:_MOST_NAMED])}{more}"
        super().__init__(
            "Open an answers file",
            "File",
            help_text=offered if here else "Path of the file",
            accept="Open",
            suggestions=here,
        )

    def fault(self, text: str) -> str:
        """Return why the file cannot be opened, or empty."""
        if not text.strip():
            return super().fault(text.strip())
        return file_fault(text.strip(), "answers file")
