"""The trash: what was deleted and collected, and until when it can be restored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from moorage.deploy.images.run import exists
from moorage.deploy.images.summary import DATA_IN_STORE
from moorage.images.read import Stored
from moorage.images.trash import TrashedRun
from moorage.units import date_text, exact_size, size_text
from screens.images import run_texts, texts
from tui.actions import bindings
from tui.styled_once import StyledOnce
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.widgets.row_table import Column, RowTable

Restored = tuple[str, ...]
"""The names to restore; everything if there are none."""


@dataclass(frozen=True)
class TrashRow:
    """A line of the trash: a run, or a tag or repository that it deleted.

    Attributes:
        run: The run.
        name: ``REPOSITORY:TAG`` or ``REPOSITORY``; empty for the run itself.
        note: What there is to say about it.
        is_inside: Whether it is a tag of the repository above it.
    """

    run: TrashedRun
    name: str = ""
    note: str = ""
    is_inside: bool = False

    @property
    def text(self) -> str:
        """The text of its first column."""
        indent = "    " if self.is_inside else "  "
        whole = " (whole)" if self.name in self.run.repositories else ""
        return f"{indent}{self.name}{whole}" if self.name else run_texts.trashed_run(self.run)

    @property
    def size(self) -> str:
        """The space that the run's files take up."""
        return size_text(self.run.size) if not self.name and self.run.blobs else ""

    @property
    def until(self) -> str:
        """The date until which it is kept."""
        return "" if self.name else date_text(self.run.kept_until)


def trash_rows(trash: Sequence[TrashedRun], stored: Stored) -> Iterator[TrashRow]:
    """Yield the lines of the trash, the latest first.

    Args:
        trash: The trash, oldest first.
        stored: What the registry stores now.
    """
    for run in reversed(trash):
        yield TrashRow(run, note="" if run.is_complete else "interrupted")
        for name in run.repositories:
            there = stored.tree.repositories.get(name)
            is_again = there is not None and bool(there.tags)
            yield TrashRow(run, name, "pushed again" if is_again else "")
            inside = [each for each in run.inside if each[0] == name]
            yield from (_tag_row(run, *each, stored, is_inside=True) for each in inside)
        yield from (_tag_row(run, *each, stored) for each in run.named_tags)


def _tag_row(
    run: TrashedRun, name: str, tag: str, stored: Stored, *, is_inside: bool = False
) -> TrashRow:
    note = "pushed again" if exists(stored, name, tag) else ""
    return TrashRow(run, f"{name}:{tag}", note, is_inside=is_inside)


_NAME = Column[TrashRow]("Deleted or collected", lambda row: row.text, 0)
_SIZE = Column[TrashRow]("Size", lambda row: row.size, 9, is_figure=True)
_UNTIL = Column[TrashRow]("Kept until", lambda row: row.until, 10)
_NOTE = Column[TrashRow]("", lambda row: row.note, 12)


class TrashTable(RowTable[TrashRow]):
    """The trash."""

    def __init__(self) -> None:
        super().__init__()
        self.marked: set[str] = set()

    def columns(self, width: int) -> Sequence[Column[TrashRow]]:
        """Return the columns."""
        return (_NAME, _SIZE, _UNTIL, _NOTE)

    def name_of(self, row: TrashRow) -> object:
        """Return the run and the name."""
        return row.run.run, row.name

    def sign_of(self, row: TrashRow) -> str:
        """Return whether it is marked."""
        return "●" if row.name in self.marked else " "

    def colour_of(self, row: TrashRow) -> str:
        """Return the colour of runs, which contain the rows below them."""
        return "" if row.name else "muted"


class TrashScreen(StyledOnce[Restored | None]):
    """Shows the trash; returns what to restore.

    Args:
        trash: The trash, oldest first.
        stored: What the registry stores now.
        registry: The registry's name, with its port if clients need it.
    """

    help_text = (
        "What was deleted and collected. Until its date it can be restored, tags included; the "
        "first collection after that deletes it, if nothing needs it.\n\n"
        "Restoring a tag brings back its image, also if that was collected since. A tag that was "
        "pushed again stays as it is: its deleted image comes back without a tag. The next run "
        "puts back what an interrupted one moved."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("trash")
    DEFAULT_CSS = """
    TrashScreen #trash-title { height: auto; max-height: 3; padding: 0 2; color: $text-muted; }
    TrashScreen.-high #trash-title { margin: 1 0; }
    """

    def __init__(self, trash: Sequence[TrashedRun], stored: Stored, registry: str) -> None:
        super().__init__()
        self._trash = trash
        self._stored = stored
        self._registry = registry

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._registry, "Trash")
        yield Static("", id="trash-title", markup=False)
        yield TrashTable()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the trash."""
        self._table = self.query_one(TrashTable)
        self._table.show(tuple(trash_rows(self._trash, self._stored)))
        self.set_focus(self._table)
        self._show_title()

    def _show_title(self) -> None:
        size = exact_size(sum(run.size for run in self._trash))
        text = f"{size} in the trash" if self._trash else "The trash is empty."
        if any(not run.blobs for run in self._trash):
            text += f". {DATA_IN_STORE}"
        if marked := self._table.marked:
            text = f"{texts.names_text(marked)} marked. {text}"
        self.query_one("#trash-title", Static).update(Content(text))

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.refresh_bindings()

    def _names(self, row: TrashRow | None) -> Restored:
        """Return the names of a row: of a run, all of them."""
        if row is None:
            return ()
        if row.name:
            return (row.name,)
        return tuple(
            each.name for each in self._table.rows if each.name and each.run.run == row.run.run
        )

    @property
    def _chosen(self) -> Restored:
        return tuple(sorted(self._table.marked)) or self._names(self._table.row)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to restore what has a name; what was collected comes back with everything."""
        if not self.is_mounted:
            return True
        offered = {
            "mark": bool(self._names(self._table.row)),
            "restore": bool(self._chosen),
            "restore_all": bool(self._trash),
        }
        return offered.get(action, True)

    def action_mark(self) -> None:
        """Mark what is selected, or remove the marks if all of it is marked."""
        names, marked = set(self._names(self._table.row)), self._table.marked
        self._table.marked = marked - names if names <= marked else marked | names
        self._table.action_move(1)
        self._table.refresh()
        self._show_title()
        self.refresh_bindings()

    def action_restore(self) -> None:
        """Restore what is marked or selected."""
        self.dismiss(self._chosen)

    def action_restore_all(self) -> None:
        """Restore everything."""
        self.dismiss(())

    def action_back(self) -> None:
        """Go back to the images."""
        self.dismiss(None)
