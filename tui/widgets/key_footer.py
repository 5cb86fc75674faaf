"""The keys of a screen, in its last line."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer

_Keys = list[tuple[Binding, bool, str]]


class KeyFooter(Footer):
    """A compact footer that is built anew only when it would look different.

    Textual builds it whenever the focus moves, and restyles every key of it: a fifth of what a key
    costs on a form.
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._shown: _Keys | None = None

    def compose(self) -> ComposeResult:
        self._shown = None
        for key in super().compose():
            # It would find out that it is compact one style at a time.
            key.set_class(True, "-compact", update=False)
            yield key
            self._shown = _keys(self.screen)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Build it anew unless it shows these keys."""
        if self._shown is None or self._shown != _keys(screen):
            super().bindings_changed(screen)


def _keys(screen: Screen[object]) -> _Keys:
    return [
        (binding, enabled, tooltip)
        for _, binding, enabled, tooltip in screen.active_bindings.values()
        if binding.show
    ]
