"""The keys of a screen, in its last line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Button

from tui.actions import BROWSER_KEYS

_ALWAYS = ("help", "command_palette")
"""The actions that are always shown, because they find all others."""
_BUTTONS = {"accept": "accept", "end": "accept", "next": "next", "apply": "next"}
"""The id of the button that does the same, by action: where there is one, its label is shown."""


@dataclass(frozen=True)
class Item:
    """An action and the key shown for it."""

    action: str
    key: str
    display: str
    label: str
    is_enabled: bool
    tooltip: str

    def columns(self, *, is_narrow: bool) -> int:
        """The width with the space after it."""
        return cell_len(self.display) + cell_len(self.label) + (2 if is_narrow else 3)


class KeyFooter(Widget):
    """A compact footer that shows whole keys only, and says how many more there are.

    It is one widget, and not one for each key, as Textual's footer is: their styles took a third of
    the processor time of everything that changes the keys.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-footer--key", "key-footer--label"}
    DEFAULT_CSS = """
    KeyFooter { dock: bottom; height: 1; background: $panel; text-wrap: nowrap; }
    KeyFooter .key-footer--key { color: $foreground; background: $panel; text-style: bold; }
    KeyFooter .key-footer--label { color: $text-muted; background: $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown: Sequence[Item] = ()
        """The actions whose keys are shown."""

    def on_mount(self) -> None:
        """Follow the keys of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self.bindings_changed)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Show the active keys."""
        if not self.is_attached or screen is not self.screen or not self.app.app_focus:
            return
        shown = self._fitting()
        if shown != self.shown:
            self.shown = shown
            self.refresh()

    def render(self) -> Content:
        """Return the keys in one line."""
        key, label = map(self.get_visual_style, ("key-footer--key", "key-footer--label"))
        space = " " if self._is_narrow else "  "
        parts: list[tuple[str, Style]] = []
        for each in self.shown:
            dim = Style(dim=not each.is_enabled or None)
            parts += [(each.display, key + dim), (f" {each.label}{space}", label + dim)]
        return Content.assemble(*parts).rstrip()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press the key under the mouse."""
        item = self._item_at(event.x)
        if item is not None and item.is_enabled:
            self.app.simulate_key(item.key)
        elif item is not None:
            self.app.bell()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Explain the key under the mouse."""
        item = self._item_at(event.x)
        self.tooltip = item.tooltip or None if item is not None else None

    def _item_at(self, column: int) -> Item | None:
        end = 0
        for each in self.shown:
            start, end = end, end + each.columns(is_narrow=self._is_narrow)
            if start <= column < end - 1:
                return each
        return None

    @property
    def _is_narrow(self) -> bool:
        return self.screen.has_class("-narrow")

    def on_resize(self, _event: events.Resize) -> None:
        """Show as many keys as fit now."""
        self.bindings_changed(self.screen)

    def _fitting(self) -> list[Item]:
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

    def _fits(self, items: Sequence[Item]) -> bool:
        # The space after the last key may be missing.
        return (
            sum(each.columns(is_narrow=self._is_narrow) for each in items) - 1
            <= self.app.size.width
        )

    def _items(self) -> list[Item]:
        """Return each action once, in the order of the active bindings."""
        found: dict[str, Item] = {}
        for _, binding, is_enabled, tooltip in self.screen.active_bindings.values():
            known = found.get(binding.action)
            if binding.show and (known is None or self._is_kept_by_browser(known.key)):
                found[binding.action] = self._item(binding, is_enabled, tooltip)
        return list(found.values())

    def _item(self, binding: Binding, is_enabled: bool, tooltip: str) -> Item:
        display = self.app.get_key_display(binding)
        if binding.key == "f1" and not self._is_typing:
            display = "?"
        label = self._label_of_button(binding.action) or binding.description
        return Item(binding.action, binding.key, display, label, is_enabled, tooltip)

    def _label_of_button(self, action: str) -> str:
        """Return the label of the button that does the same as an action, or empty."""
        if action not in _BUTTONS:
            return ""
        buttons = self.screen.walk_children(Button)
        return next((str(each.label) for each in buttons if each.id == _BUTTONS[action]), "")

    def _is_kept_by_browser(self, key: str) -> bool:
        return self.app.is_web and key in BROWSER_KEYS

    @property
    def _is_typing(self) -> bool:
        """Whether a question mark would be text."""
        focused = self.screen.focused
        return focused is not None and focused.check_consume_key("question_mark", "?")


def _counting(last: Sequence[Item], left_out: int) -> list[Item]:
    """Return the last keys, with the number of keys left out in place of the help's label."""
    return [
        replace(each, label=f"{left_out} more key{'s' if left_out > 1 else ''}")
        if each.action.endswith("help")
        else each
        for each in last
    ]
