"""The tables of the Images screen: repositories, and the tags of one."""

from __future__ import annotations

import time
from collections.abc import Sequence

from moorage.images.usage import TagUsage
from moorage.units import age_text, size_text
from screens.images.marks import Marks
from screens.images.rows import RepositoryRow, TagRow
from tui.widgets.row_table import Column, RowTable

_SIZE = 8
_AGE = 11


def _age(moment: float | None) -> str:
    return age_text(moment, time.time())


def tag_sign(tag: TagUsage) -> str:
    """Return what is wrong with a tag, as a sign; empty if nothing is.

    Args:
        tag: The tag.
    """
    return "✗ " if tag.missing else "! " if tag.problem else ""


_REPOSITORY = Column[RepositoryRow]("Repository", lambda row: row.usage.name, 0, is_name=True)
_TAGS = Column[RepositoryRow]("Tags", lambda row: str(len(row.tags)), 5, is_figure=True)
_OWN = Column[RepositoryRow]("Own", lambda row: size_text(row.usage.own_size), _SIZE,
                             is_figure=True)  # fmt: skip
_SHARED = Column[RepositoryRow]("Shared", lambda row: size_text(row.shared_size), _SIZE,
                                is_figure=True)  # fmt: skip
_PUSHED = Column[RepositoryRow]("Last push", lambda row: _age(row.usage.pushed), _AGE)
_PULLED = Column[RepositoryRow]("Last pull", lambda row: _age(row.usage.pulled), _AGE)

_TAG = Column[TagRow](
    "Tag", lambda row: f"{row.bracket} {tag_sign(row.tag)}{row.tag.name}", 0, is_name=True
)
_TAG_SIZE = Column[TagRow]("Size", lambda row: size_text(row.tag.size), _SIZE, is_figure=True)
_TAG_OWN = Column[TagRow]("Own", lambda row: size_text(row.tag.own_size), _SIZE, is_figure=True)
_TAG_PUSHED = Column[TagRow]("Last push", lambda row: _age(row.tag.pushed), _AGE)
_TAG_PULLED = Column[TagRow]("Last pull", lambda row: _age(row.tag.pulled), _AGE)
_PLATFORMS = Column[TagRow]("Platforms", lambda row: ", ".join(row.tag.platforms), 0)
_ROOM_FOR_TWO = 44
"""Columns of a table from which a size and a time are shown beside each other."""
_ROOM_FOR_MORE = 54
_ROOM_FOR_ALL = 80


class RepositoryTable(RowTable[RepositoryRow]):
    """The repositories.

    Attributes:
        order: Their order; a narrow table shows the figure they are sorted by.
        marks: The marks to show.
    """

    order = "own size"

    def __init__(self, marks: Marks, *, id: str) -> None:  # noqa: A002 # Textual's name for it
        super().__init__(id=id)
        self.marks = marks

    def columns(self, width: int) -> Sequence[Column[RepositoryRow]]:
        """Return the columns that fit."""
        time_column = _PULLED if self.order == "last pull" else _PUSHED
        if width >= _ROOM_FOR_ALL:
            return (_REPOSITORY, _TAGS, _OWN, _SHARED, _PUSHED, _PULLED)
        if width >= _ROOM_FOR_MORE:
            return (_REPOSITORY, _TAGS, _OWN, _SHARED, time_column)
        if width >= _ROOM_FOR_TWO:
            return (_REPOSITORY, _TAGS, _OWN, time_column)
        return (_REPOSITORY, _TAGS, time_column if self.order.startswith("last") else _OWN)

    def name_of(self, row: RepositoryRow) -> object:
        """Return the repository's name."""
        return row.usage.name

    def sign_of(self, row: RepositoryRow) -> str:
        """Return whether it is marked or staged."""
        return self.marks.sign_of(row.usage.name)

    def colour_of(self, row: RepositoryRow) -> str:
        """Return the colour of a repository whose deletion is staged."""
        return "bad" if self.marks.is_staged(row.usage.name) else ""


class TagTable(RowTable[TagRow]):
    """The tags of a repository.

    Attributes:
        order: Their order; a narrow table shows the figure they are sorted by.
        marks: The marks to show.
    """

    order = "last push"

    def __init__(self, marks: Marks, *, id: str) -> None:  # noqa: A002 # Textual's name for it
        super().__init__(id=id)
        self.marks = marks

    def columns(self, width: int) -> Sequence[Column[TagRow]]:
        """Return the columns that fit."""
        figure = _TAG_OWN if self.order == "own size" else _TAG_SIZE
        time_column = _TAG_PULLED if self.order == "last pull" else _TAG_PUSHED
        if width >= _ROOM_FOR_ALL:
            return (_TAG, _TAG_SIZE, _TAG_OWN, _TAG_PUSHED, _TAG_PULLED, _PLATFORMS)
        if width >= _ROOM_FOR_TWO:
            return (_TAG, figure, time_column)
        return (_TAG, figure if self.order == "own size" else time_column)

    def name_of(self, row: TagRow) -> object:
        """Return the tag's name."""
        return row.tag.name

    def sign_of(self, row: TagRow) -> str:
        """Return whether it is marked or staged."""
        return self.marks.sign_of(row.tag.repository, row.tag.name)

    def colour_of(self, row: TagRow) -> str:
        """Return the colour of a tag that is staged or cannot be pulled, or may not be."""
        if self.marks.is_staged(row.tag.repository, row.tag.name):
            return "bad"
        return "bad" if row.tag.missing else "warning" if row.tag.problem else ""
