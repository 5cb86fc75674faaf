"""The keys of a screen, in its last line."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer

_Keys = list[tuple[Binding, bool, str]]


class KeyFooter(Footer):
    """A compact footer that is rebuilt only when its keys change.

    Textual rebuilds the footer and restyles its keys whenever the focus moves. On a form, that took
    a sixth of the processor time of a key press.
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._shown: _Keys | None = None

    def compose(self) -> ComposeResult:
        self._shown = None
        for key in super().compose():
            # Textual sets the class after mounting, which would restyle the key.
            key.set_class(True, "-compact", update=False)
            yield key
            self._shown = _keys(self.screen)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Rebuild the footer if it does not show the active keys."""
        if self._shown is None or self._shown != _keys(screen):
            super().bindings_changed(screen)


def _keys(screen: Screen[object]) -> _Keys:
    return [
        (binding, enabled, tooltip)
        for _, binding, enabled, tooltip in screen.active_bindings.values()
        if binding.show
    ]
