"""The live preview: what the answers mean, or the files that a step changes.

The files have syntax colours and marks for changes.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

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
        self._examples: Sequence[str] = ()

    def compose(self) -> ComposeResult:
        yield Static("", id="preview-text")

    def show(
        self, rows: Sequence[Row], files: Sequence[PreviewFile], examples: Sequence[str]
    ) -> None:
        """Show what the answers mean, or the files.

        Args:
            rows: What the answers mean.
            files: The files.
            examples: The fields for which the files have an example.
        """
        self._rows, self._files, self._examples = rows, files, examples
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
            head = self._head(files)
            lines = [*head, *lines]
            first_fresh = None if first_fresh is None else first_fresh + len(head)
        self.query_one("#preview-text", Static).update(Content("\n").join(lines))
        if first_fresh is not None:
            place = max(0, first_fresh - self.size.height // 3)
            self.call_after_refresh(self.scroll_to, y=place, animate=False)

    def _head(self, files: Sequence[PreviewFile]) -> list[Content]:
        """Return the lines above the files: what is not real in them, and what the marks mean."""
        lines = []
        if self._examples:
            note = f"! Example in place of: {', '.join(self._examples)}"
            lines.append(Content.styled(note, "$text-warning"))
        legend = _legend({mark for file in files for mark, _ in file.lines})
        if not (legend or self._examples):
            legend = "unchanged since the last apply"
        return [*lines, Content.styled(legend, "$text-muted")] if legend else lines

    @property
    def text(self) -> str:
        """The text shown."""
        return str(self.query_one("#preview-text", Static).content)


def _meaning(rows: Sequence[Row]) -> Content:
    """Return the rows as labels with their texts below."""
    lines = [Content.styled("What the answers mean so far", "$text-muted")]
    for row in rows:
        style = {Level.PENDING: "$text-muted", Level.BAD: "$text-error"}.get(row.level, "")
        text = f"✗ {row.text}" if row.level is Level.BAD else row.text
        lines += [Content(""), Content.styled(row.label, "bold"), Content.styled(text, style)]
    lines += [Content(""), Content.styled("F3 shows the files", "$text-muted")]
    return Content("\n").join(lines)


def _with_mark(mark: Mark, line: Content) -> Content:
    if mark is Mark.FRESH:
        return Content.styled("» ", "bold $accent") + line.stylize_before("on $diff-add-word")
    style = "$text-success" if mark is Mark.NEW else ""
    return Content.styled(f"{mark.value} ", style) + line


def _legend(used: Set[Mark]) -> str:
    words = []
    if Mark.NEW in used:
        words.append("+ new since the last apply" if Mark.SAME in used else "+ all new")
    if Mark.FRESH in used:
        words.append("» changed on this step")
    return "; ".join(words)
