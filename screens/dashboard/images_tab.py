"""Images: the space they take up, the largest repositories and those pushed to last."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Static

from moorage.deploy.deployment import Deployment
from moorage.deploy.images.rows import Order, in_order
from moorage.deploy.images.space import Space, read_space
from moorage.deploy.logs.rows import CHECK_REPOSITORY
from moorage.escape import one_line
from moorage.images.usage import RepositoryUsage
from moorage.units import age_text, size_text
from screens.dashboard.tab import Tab
from tui.messages import ImagesRequested
from tui.widgets.row_table import Column, RowTable
from tui.widgets.storage_bar import StorageBar

_MOST = 100
"""Repositories in each table; the Images screen has all of them."""
_NAME = Column[RepositoryUsage]("Repository", lambda row: row.name, 0, is_name=True)
_TAGS = Column[RepositoryUsage]("Tags", lambda row: str(len(row.tags)), 5, is_figure=True)
_SIZE = Column[RepositoryUsage]("Size", lambda row: size_text(row.size), 8, is_figure=True)
_OWN = Column[RepositoryUsage]("Own", lambda row: size_text(row.own_size), 8, is_figure=True)
_PUSHED = Column[RepositoryUsage]("Last push", lambda row: age_text(row.pushed, time.time()), 11)
_BY = Column[RepositoryUsage]("By", lambda row: row.pushed_by or "-", 14, is_name=True)
_ROOM_FOR_ALL = 44


class _Repositories(RowTable[RepositoryUsage]):
    def name_of(self, row: RepositoryUsage) -> object:
        """Return the repository's name."""
        return row.name


class _Largest(_Repositories):
    def columns(self, width: int) -> Sequence[Column[RepositoryUsage]]:
        """Return the columns that fit."""
        return (_NAME, _TAGS, _SIZE, _OWN) if width >= _ROOM_FOR_ALL else (_NAME, _TAGS, _SIZE)


class _Latest(_Repositories):
    def columns(self, width: int) -> Sequence[Column[RepositoryUsage]]:
        """Return the columns that fit."""
        return (_NAME, _PUSHED, _BY) if width >= _ROOM_FOR_ALL else (_NAME, _PUSHED)


class ImagesTab(Tab[Space]):
    """The images. They are read less often, as the whole store has to be listed for them."""

    FRESH = 900.0
    DEFAULT_CSS = """
    ImagesTab #images-space { height: auto; }
    ImagesTab #images-growth { height: auto; padding: 0 2; color: $text-muted; }
    ImagesTab #images-tables { height: 1fr; layout: vertical; }
    ImagesTab.-roomy #images-tables { layout: horizontal; }
    ImagesTab .tab--heading { margin-top: 1; }
    """

    class Read(Message):
        """The images were read.

        Attributes:
            space: The images and the space they take up.
        """

        def __init__(self, space: Space) -> None:
            super().__init__()
            self.space = space

    def compose_parts(self) -> ComposeResult:
        """Yield the bar and the two tables."""
        with Vertical(id="images-space"):
            yield StorageBar()
            yield Static("", id="images-growth", markup=False)
        with Container(id="images-tables"):
            with Vertical(classes="tab--part"):
                yield Static("Largest", classes="tab--heading")
                yield _Largest(id="largest")
            with Vertical(classes="tab--part"):
                yield Static("Pushed last", classes="tab--heading")
                yield _Latest(id="latest")

    def read(self, deployment: Deployment) -> Space:
        """Read the images."""
        return read_space(deployment)

    def show(self, found: Space) -> str:
        """Show the images; returns their number and where they are."""
        self.query_one(StorageBar).show(found.parts)
        self.query_one("#images-growth", Static).update(found.text)
        rows = [each for each in found.usage.repositories if each.name != CHECK_REPOSITORY]
        self.query_one(_Largest).show(in_order(rows, Order.SIZE)[:_MOST])
        self.query_one(_Latest).show(in_order(rows, Order.PUSHED)[:_MOST])
        self.post_message(self.Read(found))
        tags = sum(len(each.tags) for each in rows)
        count = len(rows)
        return (
            f"{count:,} {'repositories' if count != 1 else 'repository'}, "
            f"{tags:,} tag{'s' if tags != 1 else ''} in {one_line(str(found.read.store))}"
        )

    @property
    def can_open(self) -> bool:
        """Whether there are images."""
        return bool(self.query_one(_Largest).rows)

    def open_selected(self) -> None:
        """Open the selected repository on the Images screen."""
        self.expire()
        tables = list(self.query(_Repositories))
        row = next((each for each in tables if each.has_focus), tables[0]).row
        self.post_message(ImagesRequested(row.name if row is not None else ""))
