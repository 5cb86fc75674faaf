"""The keys of a screen, in its last line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from tui.actions import BROWSER_KEYS

_ALWAYS = ("help", "command_palette")
"""The actions that are always shown, because they find all others."""


@dataclass(frozen=True)
class _Item:
    """An action and the key shown for it."""

    action: str
    key: str
    display: str
    label: str
    is_enabled: bool
    tooltip: str

    def columns(self, *, is_narrow: bool) -> int:
        """The width with the space after it; the styles are in :data:`tui.theme.STYLE`."""
        return cell_len(self.display) + cell_len(self.label) + (2 if is_narrow else 3)


class KeyFooter(Footer):
    """A compact footer that shows whole keys only, and says how many more there are.

    It is rebuilt only when its keys change: Textual does so whenever the focus moves, which took a
    sixth of the processor time of a key press on a form.
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._shown: list[_Item] | None = None

    def compose(self) -> ComposeResult:
        self._shown = None
        if not self._bindings_ready:
            return
        shown = self._fitting()
        for each in shown:
            key = FooterKey(
                each.key,
                each.display,
                each.label,
                each.action,
                disabled=not each.is_enabled,
                tooltip=each.tooltip,
            ).data_bind(compact=Footer.compact)
            # Textual sets the class after mounting, which would restyle the key.
            key.set_class(True, "-compact", update=False)
            yield key
        self._shown = shown

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Rebuild the footer if it does not show the active keys."""
        if self._shown is None or self._shown != self._fitting():
            super().bindings_changed(screen)

    def on_resize(self, _event: events.Resize) -> None:
        """Show as many keys as fit now."""
        self.bindings_changed(self.screen)

    def _fitting(self) -> list[_Item]:
        """Return the keys that fit, and those of the help and the palette last."""
        items = self._items()
        last = [each for name in _ALWAYS for each in items if each.action.endswith(name)]
        rest = [each for each in items if each not in last]
        if self._fits([*rest, *last]):
            return [*rest, *last]
        count = len(rest)
        while rest and not self._fits([*rest, *_counting(last, count - len(rest))]):
            rest.pop()
        return [*rest, *_counting(last, count - len(rest))]

    def _fits(self, items: Sequence[_Item]) -> bool:
        is_narrow = self.screen.has_class("-narrow")
        # The space after the last key may be missing.
        return sum(each.columns(is_narrow=is_narrow) for each in items) - 1 <= self.app.size.width

    def _items(self) -> list[_Item]:
        """Return each action once, in the order of the active bindings."""
        found: dict[str, _Item] = {}
        for _, binding, is_enabled, tooltip in self.screen.active_bindings.values():
            known = found.get(binding.action)
            if binding.show and (known is None or self._is_kept_by_browser(known.key)):
                found[binding.action] = self._item(binding, is_enabled, tooltip)
        return list(found.values())

    def _item(self, binding: Binding, is_enabled: bool, tooltip: str) -> _Item:
        display = self.app.get_key_display(binding)
        if binding.key == "f1" and not self._is_typing:
            display = "?"
        return _Item(binding.action, binding.key, display, binding.description, is_enabled, tooltip)

    def _is_kept_by_browser(self, key: str) -> bool:
        return self.app.is_web and key in BROWSER_KEYS

    @property
    def _is_typing(self) -> bool:
        """Whether a question mark would be text."""
        focused = self.screen.focused
        return focused is not None and focused.check_consume_key("question_mark", "?")


def _counting(last: Sequence[_Item], left_out: int) -> list[_Item]:
    """Return the last keys, with the number of keys left out in place of the help's label."""
    return [
        replace(each, label=f"{left_out} more key{'s' if left_out > 1 else ''}")
        if each.action.endswith("help")
        else each
        for each in last
    ]
