"""The space on a disk or in a bucket, as a bar of one line and its legend."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from moorage.images.space import Kind, Part
from moorage.units import size_text
from tui.age import TICK, as_of

_LOOKS = {
    Kind.OWN: ("█", "$accent"),
    Kind.SHARED: ("▓", "$accent"),
    Kind.UNTAGGED: ("▒", "$text-muted"),
    Kind.COLLECTABLE: ("▚", "$text-warning"),
    Kind.TRASH: ("x", "$text-muted"),
    Kind.FREE: ("·", "$text-muted"),
}
"""The character and colour of each use; each is known without the other."""


class StorageBar(Vertical):
    """The parts of the space."""

    DEFAULT_CSS = """
    StorageBar { height: auto; padding: 0 2; }
    StorageBar #storage-legend { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._parts: Sequence[Part] = ()
        self._at: float | None = None

    def compose(self) -> ComposeResult:
        yield _Bar()
        yield Static("", id="storage-legend", markup=False)

    def on_mount(self) -> None:
        """Keep the age up to date."""
        self.set_interval(TICK, self._show_legend)

    def show(self, parts: Sequence[Part], at: float | None = None) -> None:
        """Show parts of the space.

        Args:
            parts: The parts.
            at: When they were read, in seconds since 1970; None if it is shown elsewhere.
        """
        self._parts, self._at = parts, at
        bar = self.query_one(_Bar)
        bar.parts = parts
        bar.refresh()
        self._show_legend()

    def _show_legend(self) -> None:
        shown = [
            Content.styled(f"{_LOOKS[each.kind][0]} ", _LOOKS[each.kind][1])
            + Content.styled(size_text(each.size), "bold")
            + Content.styled(f"\u00a0{each.label}", "$text-muted")
            for each in self._parts
        ]
        if self._at is not None:
            shown.append(Content.styled(as_of(self._at).replace(" ", "\u00a0"), "$text-muted"))
        self.query_one("#storage-legend", Static).update(Content("   ").join(shown))


class _Bar(Widget):
    """The bar."""

    DEFAULT_CSS = "_Bar { width: 1fr; height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.parts: Sequence[Part] = ()

    def render(self) -> Content:
        """Draw the parts, each with a cell at least."""
        cells = _cells([part.size for part in self.parts], self.size.width)
        return Content("").join(
            Content.styled(_LOOKS[part.kind][0] * count, _LOOKS[part.kind][1])
            for part, count in zip(self.parts, cells, strict=True)
        )


def _cells(sizes: Sequence[int], width: int) -> list[int]:
    """Return the number of cells of each part, which fill the width."""
    total = sum(sizes)
    if not total:
        return []
    cells = [max(1, round(size * width / total)) for size in sizes]
    cells[sizes.index(max(sizes))] += width - sum(cells)
    return cells
