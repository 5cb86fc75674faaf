"""The live preview: what the answers mean, or the files that a step changes.

The files have syntax colours and marks for changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from moorage.rows import Level, Row
from tui.document.preview import Mark, PreviewFile
from tui.syntax import highlight


class PreviewPane(VerticalScroll):
    """Shows what the answers mean, or files; scrolls to the first line changed on this step.

    Attributes:
        shows_files: Whether it shows the files.
    """

    DEFAULT_CSS = """
    PreviewPane {
        background: $surface; padding: 1 1 0 1; border-left: outer $surface; overflow-x: auto;
    }
    PreviewPane:focus { border-left: outer $accent; }
    PreviewPane Static { width: 1fr; }
    PreviewPane.-files Static { width: auto; min-width: 1fr; text-wrap: nowrap; }
    """

    shows_files: reactive[bool] = reactive(False)

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[Row] = ()
        self._files: Sequence[PreviewFile] = ()

    def compose(self) -> ComposeResult:
        yield Static("", id="preview-text")

    def show(self, rows: Sequence[Row], files: Sequence[PreviewFile]) -> None:
        """Show what the answers mean, or the files."""
        self._rows, self._files = rows, files
        self._show()

    def watch_shows_files(self) -> None:
        """Show the other."""
        self.set_class(self.shows_files, "-files")
        self.scroll_home(animate=False)
        self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        if self.shows_files:
            self._show_files(self._files)
        else:
            self.query_one("#preview-text", Static).update(_meaning(self._rows))

    def _show_files(self, files: Sequence[PreviewFile]) -> None:
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


def _meaning(rows: Sequence[Row]) -> Content:
    """Return the rows as labels with their texts below."""
    lines = [Content.styled("What the answers mean so far", "$text-muted")]
    for row in rows:
        style = "$text-muted" if row.level is Level.PENDING else ""
        lines += [Content(""), Content.styled(row.label, "bold"), Content.styled(row.text, style)]
    lines += [Content(""), Content.styled("F3 shows the files", "$text-muted")]
    return Content("\n").join(lines)


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
