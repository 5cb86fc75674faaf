"""Which answers file to open."""

from __future__ import annotations

from pathlib import Path

from tui.widgets.dialog import TextDialog

_NAMED = 3
"""How many files of the current folder the help names."""


class OpenFileDialog(TextDialog):
    """Asks for an answers file, and refuses what is none right there."""

    def __init__(self) -> None:
        here = sorted(str(each) for each in Path().glob("*.yml") if each.is_file())
        more = ", …" if len(here) > _NAMED else ""
        offered = f"Its path; ↓ offers what is here: {', '.join(here[:_NAMED])}{more}"
        super().__init__(
            "Open an answers file",
            "File",
            help_text=offered if here else "Its path",
            accept="Open",
            suggestions=here,
        )

    def fault(self, text: str) -> str:
        """Return why there is no file to open, or empty."""
        if not text.strip():
            return super().fault(text.strip())
        path = Path(text.strip()).expanduser()
        if path.is_dir():
            return f"{path} is a folder; wanted: the answers file in it"
        return "" if path.exists() else f"no such file: {path.absolute()}"
