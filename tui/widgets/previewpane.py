"""The live preview: the files a step changes, new lines marked with a plus."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.preview import PreviewFile


class PreviewPane(VerticalScroll):
    """Shows files; scrolls to the first line that is new."""

    DEFAULT_CSS = """
    PreviewPane { background: $surface; padding: 1 1 0 1; border-left: vkey $panel; }
    PreviewPane:focus { border-left: vkey $primary; }
    PreviewPane Static { width: auto; min-width: 1fr; }
    PreviewPane { overflow-x: auto; }
    """

    def compose(self) -> ComposeResult:
        yield Static("", id="preview-text")

    def show(self, files: Sequence[PreviewFile]) -> None:
        """Show these files."""
        lines: list[Content] = []
        first_new: int | None = None
        for file in files:
            if lines:
                lines.append(Content(""))
            lines.append(Content.styled(file.path, "bold $primary"))
            for is_new, text in file.lines:
                if is_new and first_new is None:
                    first_new = len(lines)
                lines.append(
                    Content.styled(f"+ {text}", "$text-success")
                    if is_new
                    else Content.styled(f"  {text}", "$text-muted" if text[:1] == "#" else "")
                )
        if not lines:
            lines.append(Content.styled("Nothing to show yet", "$text-muted"))
        self.query_one("#preview-text", Static).update(Content("\n").join(lines))
        if first_new is not None:
            place = max(0, first_new - self.size.height // 3)
            self.call_after_refresh(self.scroll_to, y=place, animate=False)

    @property
    def text(self) -> str:
        """What is shown."""
        return str(self.query_one("#preview-text", Static).content)
