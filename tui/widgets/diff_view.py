"""Shows how a file changes: unified or side by side, the whole file, or the commands for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from rich.cells import cell_len
from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from moorage.escape import printable
from tui.actions import bindings
from tui.syntax import LineStyles, highlight
from tui.widgets.dialog import FindDialog
from tui.widgets.diff import Fold, Line, Pair, Row, changes, compare, fold, side_by_side

SIDE_BY_SIDE = 160
"""Columns of the terminal from which both sides are shown side by side."""
FIND_HELP = "N goes to the next place; empty goes through the changes again"
_MOST_LINES = 6000


class View(StrEnum):
    """The views of a file."""

    DIFFERENCE = "difference"
    FILE = "whole file"
    COMMANDS = "commands"


@dataclass(frozen=True)
class Shown:
    """A change to a file or to something else.

    Attributes:
        title: The path or name.
        note: The reason of the change.
        warning: A warning for the operator; may be empty.
        path: The file's path; empty if it is not a file.
        before: The old file; None if there is none.
        after: The new file; None if there will be none.
        commands: Equivalent commands.
    """

    title: str
    note: str = ""
    warning: str = ""
    path: str = ""
    before: str | None = None
    after: str | None = None
    commands: tuple[str, ...] = ()


class DiffView(VerticalScroll):
    """Shows one :class:`Shown` at a time; long lines are wrapped, not cut off."""

    DEFAULT_CSS = """
    DiffView { background: $surface; padding: 0 1 0 2; overflow-y: scroll; }
    DiffView Static { width: 1fr; height: auto; text-wrap: nowrap; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("diff")
    can_focus = True

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 # Textual's name for it
        super().__init__(id=id)
        self.view = View.DIFFERENCE
        self._shown: Shown | None = None
        self._places: list[int] = []
        self._plain = ""
        self._found = ""

    def compose(self) -> ComposeResult:
        yield Static("", id="diff-text")

    @property
    def text(self) -> str:
        """The text shown, as it would be copied."""
        return self._plain

    def show(self, shown: Shown | None) -> None:
        """Show a change; nothing for None."""
        is_other = shown is None or self._shown is None or shown.title != self._shown.title
        self._shown = shown
        self._draw()
        if is_other:
            self._scroll_to_first()

    def turn_to(self, view: View) -> None:
        """Show another view of the same change."""
        self.view = view
        self._draw()
        self._scroll_to_first()

    def find(self, text: str) -> None:
        """Mark the lines with a text, and make them what the keys for changes go to.

        Args:
            text: The text; empty for the changes again.
        """
        self._found = text.strip().lower()
        self._draw()
        self._scroll_to_first()

    def _scroll_to_first(self) -> None:
        """Scroll to the first line with the text, or without one to the top."""
        y = self._places[0] if self._found and self._places else 0
        self.call_after_refresh(self.scroll_to, y=y, animate=False)

    def has(self, shown: Shown, text: str) -> bool:
        """Return whether a text is in a change as this view shows it.

        Args:
            shown: The change.
            text: The text.
        """
        found = text.strip().lower()
        return found in shown.title.lower() or found in self._plain_of(shown).lower()

    @property
    def found(self) -> str:
        """The text that is marked; empty without one."""
        return self._found

    @work
    async def action_find(self) -> None:
        """Ask for a text and mark it."""
        dialog = FindDialog("Find here", self._found, FIND_HELP)
        text = await self.app.push_screen_wait(dialog)
        if text is not None:
            self.find(text)

    def action_jump(self, step: int) -> None:
        """Scroll to the next or previous change, or line with the text that is marked."""
        here = round(self.scroll_y)
        if step > 0:
            target = next((place for place in self._places if place > here), None)
        else:
            target = next((place for place in reversed(self._places) if place < here), None)
        if target is None or (step > 0 and here >= self.max_scroll_y):
            self.app.bell()
        else:
            self.scroll_to(y=target, animate=False)

    def on_resize(self, _event: events.Resize) -> None:
        """Wrap the lines for the new width."""
        self._draw()

    def _draw(self) -> None:
        if not self.is_mounted or self._shown is None:
            if self.is_mounted:
                self.query_one("#diff-text", Static).update("")
            return
        shown = self._shown
        width = max(20, self.scrollable_content_region.width)
        head = [Content.styled(printable(shown.title), "bold")]
        if shown.note:
            head.append(Content.styled(printable(shown.note), "$text-muted"))
        if shown.warning:
            head.append(Content.styled(f"! {printable(shown.warning)}", "$text-warning"))
        body, places = self._body(shown, width)
        if self._found:
            count = f"on {len(places)} line{'s' if len(places) != 1 else ''}"
            text = f"“{printable(self._found)}”: {count if places else 'not here'}"
            head.append(Content.styled(text, "$text-accent"))
        lines = [piece for line in head for piece in line.wrap(width)]
        lines.append(Content(""))
        self._places = [place + len(lines) for place in places]
        lines += body
        self.query_one("#diff-text", Static).update(Content("\n").join(lines))

    def _body(self, shown: Shown, width: int) -> tuple[list[Content], list[int]]:
        self._plain = self._plain_of(shown)
        if self.view is View.COMMANDS or not shown.path:
            return _commands(shown.commands, width, self._found)
        if self.view is View.FILE:
            text = _whole(shown)
            styles = _styles(shown.path, text, self._found)
            whole = text.splitlines()[:_MOST_LINES]
            rows = [Line("same", None, i + 1, line) for i, line in enumerate(whole)]
            return _unified(rows, ((), styles), width, len(rows), self._found)
        rows_of = compare(shown.before or "", shown.after or "")[:_MOST_LINES]
        folded = fold(rows_of)
        both = (
            _styles(shown.path, shown.before or "", self._found),
            _styles(shown.path, shown.after or "", self._found),
        )
        highest = max((line.before or line.after or 0 for line in rows_of), default=0)
        has_both = shown.before and shown.after
        if has_both and self.app.size.width >= SIDE_BY_SIDE:
            return _beside(side_by_side(folded), both, width, highest, self._found)
        return _unified(folded, both, width, highest, self._found)

    def _plain_of(self, shown: Shown) -> str:
        """Return a change as this view shows it, without styles."""
        if self.view is View.COMMANDS or not shown.path:
            return "\n".join(shown.commands)
        if self.view is View.FILE:
            return _whole(shown)
        rows = fold(compare(shown.before or "", shown.after or "")[:_MOST_LINES])
        return "\n".join(_plain_line(row) for row in rows)


Styles = tuple[Sequence[LineStyles], Sequence[LineStyles]]
_SIGNS = {"same": " ", "add": "+", "remove": "-"}
_GROUNDS = {"add": "$diff-add", "remove": "$diff-remove"}


def _whole(shown: Shown) -> str:
    return (shown.after if shown.after is not None else shown.before) or ""


def _styles(path: str, text: str, found: str) -> Sequence[LineStyles]:
    """Return the styles of a file's lines, with the text that is looked for marked."""
    styles = highlight(path, text)
    if not found:
        return styles
    lines = zip(text.splitlines(), styles, strict=True)
    return [(*line_styles, *_marks(line, found)) for line, line_styles in lines]


def _marks(line: str, found: str) -> LineStyles:
    lower = line.lower()
    if not found or len(lower) != len(line):
        return ()
    places = (match.start() for match in re.finditer(re.escape(found), lower))
    return tuple((place, place + len(found), "reverse") for place in places)


def _places(rows: Sequence[Row] | Sequence[Pair], found: str) -> set[int]:
    """Return the indexes to jump to: lines with a text, or without one where a change begins."""
    if not found:
        return set(changes(rows))
    return {
        place
        for place, row in enumerate(rows)
        for half in (row if isinstance(row, tuple) else (row,))
        if isinstance(half, Line) and found in half.text.lower()
    }


def _commands(commands: Sequence[str], width: int, found: str) -> tuple[list[Content], list[int]]:
    lines = [Content.styled("Equivalent commands:", "$text-muted"), Content("")]
    jumps: list[int] = []
    for command in commands:
        if found and found in command.lower():
            jumps.append(len(lines) - 1)
        text = printable(command)
        line = Content(text)
        for begin, end, style in _marks(text, found):
            line = line.stylize(style, begin, end)
        lines += wrapped(line, width)
    return (lines if commands else []), jumps


def _plain_line(row: Row) -> str:
    if isinstance(row, Fold):
        return f"@@ {row.count} unchanged lines @@"
    return _SIGNS[row.kind] + row.text


def _unified(
    rows: Sequence[Row], styles: Styles, width: int, highest: int, found: str
) -> tuple[list[Content], list[int]]:
    places = _places(rows, found)
    lines: list[Content] = []
    jumps: list[int] = []
    for place, row in enumerate(rows):
        if place in places:
            jumps.append(max(0, len(lines) - 1))
        lines += _row(row, styles, width, len(str(highest)))
    return lines, jumps


def _beside(
    pairs: Sequence[Pair], styles: Styles, width: int, highest: int, found: str
) -> tuple[list[Content], list[int]]:
    half = (width - 1) // 2
    places = _places(pairs, found)
    lines: list[Content] = []
    jumps: list[int] = []
    for place, pair in enumerate(pairs):
        if place in places:
            jumps.append(max(0, len(lines) - 1))
        if isinstance(pair[0], Fold):
            lines += _row(pair[0], styles, width, len(str(highest)))
            continue
        left, right = (_side(each, styles, half, len(str(highest)), is_old=side == 0)
                       for side, each in enumerate(pair))  # fmt: skip
        for i in range(max(len(left), len(right))):
            lines.append(Content.assemble(_cell(left, i, half), ("│", "$edge"),
                                          _cell(right, i, half)))  # fmt: skip
    return lines, jumps


def _side(
    row: Row | None, styles: Styles, width: int, digits: int, *, is_old: bool
) -> list[Content]:
    if row is None or isinstance(row, Fold):
        return []
    number = row.before if is_old else row.after
    return _row(Line(row.kind, number if is_old else None, None if is_old else number,
                     row.text, row.words), styles, width, digits)  # fmt: skip


def _cell(lines: Sequence[Content], place: int, width: int) -> Content:
    return lines[place] if place < len(lines) else Content(" " * width)


def _row(row: Row, styles: Styles, width: int, digits: int) -> list[Content]:
    """Return a row as lines that fill the width."""
    if isinstance(row, Fold):
        text = f"{' ' * digits} ⋯ {row.count} unchanged lines"
        return [Content.styled(text.ljust(width), "$text-muted")]
    number = row.after if row.after is not None else row.before
    body = Content(printable(row.text))
    if len(body) == len(row.text):
        side = styles[0] if row.after is None else styles[1]
        for start, stop, style in side[number - 1] if number and number <= len(side) else ():
            body = body.stylize(style, start, stop)
        for start, stop in row.words:
            body = body.stylize(f"bold underline on ${_GROUNDS[row.kind][1:]}-word", start, stop)
    ground = _GROUNDS.get(row.kind, "")
    sign_style = {"add": "bold $text-success", "remove": "bold $text-error"}.get(row.kind, "")
    room = max(8, width - digits - 3)
    lines = []
    for place, piece in enumerate(wrapped(body, room)):
        shown = str(number) if place == 0 and number else ""
        sign = _SIGNS[row.kind] if place == 0 else " "
        line = Content.assemble(
            (f"{shown:>{digits}} ", "$text-muted"), (f"{sign} ", sign_style), piece
        )
        line = line.pad_right(max(0, width - cell_len(line.plain)))
        lines.append(line.stylize_before(f"on {ground}") if ground else line)
    return lines


def wrapped(line: Content, width: int) -> list[Content]:
    """Return a line in pieces that fit the width: after a space or slash if the piece has one.

    Together the pieces are the line, character for character.
    """
    pieces: list[Content] = []
    while cell_len(line.plain) > width:
        most = len(line[:width].fold(width)[0])
        head = line.plain[:most]
        # What is before the first word is an indentation, not a place to break.
        start = len(head) - len(head.lstrip())
        at = next((head.rfind(mark) + 1 for mark in " /" if head.rfind(mark) > start), most)
        pieces.append(line[:at])
        line = line[at:]
    return [*pieces, line]
