"""The live preview: the files that a step changes, with syntax colours and changes marked."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.document.preview import Mark, PreviewFile
from tui.syntax import highlight


class PreviewPane(VerticalScroll):
    """Shows files; scrolls to the first line that changed on this step."""

    DEFAULT_CSS = """
    PreviewPane {
        background: $surface; padding: 1 1 0 1; border-left: outer $surface; overflow-x: auto;
    }
    PreviewPane:focus { border-left: outer $accent; }
    PreviewPane Static { width: auto; min-width: 1fr; text-wrap: nowrap; }
    """

    def compose(self) -> ComposeResult:
        yield Static("", id="preview-text")

    def show(self, files: Sequence[PreviewFile]) -> None:
        """Show files."""
        lines: list[Content] = []
        first_fresh: int | None = None
        for file in files:
            if lines:
                lines.append(Content(""))
            lines.append(Content.styled(file.path, "bold"))
            styles = highlight(file.path, file.text)
            for (mark, text), line_styles in zip(file.lines, styles, strict=False):
                if mark is Mark.FRESH and first_fresh is None:
                    first_fresh = len(lines)
                line = Content(text)
                for begin, end, style in line_styles:
                    line = line.stylize(style, begin, end)
                lines.append(_with_mark(mark, line))
        if not lines:
            lines.append(Content.styled("Nothing to show yet", "$text-muted"))
        else:
            lines.insert(0, Content.styled(_legend(files), "$text-muted"))
            first_fresh = None if first_fresh is None else first_fresh + 1
        self.query_one("#preview-text", Static).update(Content("\n").join(lines))
        if first_fresh is not None:
            place = max(0, first_fresh - self.size.height // 3)
            self.call_after_refresh(self.scroll_to, y=place, animate=False)

    @property
    def text(self) -> str:
        """The text shown."""
        return str(self.query_one("#preview-text", Static).content)


def _with_mark(mark: Mark, line: Content) -> Content:
    if mark is Mark.FRESH:
        return Content.styled("» ", "bold $accent") + line.stylize_before("on $diff-add-word")
    style = "$text-success" if mark is Mark.NEW else ""
    return Content.styled(f"{mark.value} ", style) + line


def _legend(files: Sequence[PreviewFile]) -> str:
    used = {mark for file in files for mark, _ in file.lines}
    words = []
    if Mark.NEW in used:
        words.append("+ new since the last apply" if Mark.SAME in used else "+ all new")
    if Mark.FRESH in used:
        words.append("» changed on this step")
    return "; ".join(words) or "unchanged since the last apply"
