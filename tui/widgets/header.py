"""The line at the top: product, registry and current step or screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static


class HeaderBar(Horizontal):
    """One line: product, registry, current step or screen."""

    DEFAULT_CSS = """
    HeaderBar {
        height: 1; dock: top; background: $panel;
        & #header-name {
            width: auto; padding: 0 1; text-style: bold;
        }
        & #header-title { width: 1fr; padding: 0 2; text-overflow: ellipsis; text-wrap: nowrap; }
        & #header-place { width: auto; padding: 0 1; color: $text-muted; }
    }
    """

    def __init__(self, title: str = "", place: str = "") -> None:
        super().__init__()
        self._title = title
        self._place = place

    def compose(self) -> ComposeResult:
        yield Static("Moorage", id="header-name")
        yield Static(self._title, id="header-title", markup=False)
        yield Static(self._place, id="header-place", markup=False)

    def show(self, title: str, place: str, note: str = "") -> None:
        """Show a registry and a step.

        Args:
            title: The registry's name.
            place: The step.
            note: A note before the step, such as ``draft``.
        """
        self.query_one("#header-title", Static).update(title)
        self.query_one("#header-place", Static).update(f"{note} · {place}" if note else place)
