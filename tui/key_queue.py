"""Keyboard: keys in the order they were typed, keys with the same meaning, Alt with digits, arrows.

Everything that depends on private parts of Textual's keyboard handling is in here.
"""

from __future__ import annotations

from collections import deque
from itertools import takewhile
from typing import ClassVar, cast

from textual import events, on
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.app import App
from textual.binding import BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button

from tui.actions import SAME_KEYS, bindings
from tui.document.steps import STEPS


def let_alt_numbers_through() -> None:
    """Let Alt+1 to Alt+7 arrive as keys.

    Textual maps them to the characters that Option and a digit type on a Mac. Terminals that type
    those send the characters themselves, so nothing is lost there.
    """
    sequences = cast("dict[str, object]", ANSI_SEQUENCES_KEYS)
    for step in STEPS:
        sequences.pop(f"\x1b{step.number}", None)


def _character(event: events.Key) -> str:
    """Return the text a key types, or nothing. Alt+2 has a character too, but opens a step."""
    types = event.is_printable and "+" not in event.key
    return (event.character or "") if types else ""


class _Settled(Message):
    """Bubbles the way a key does, and so arrives after the messages that the key caused.

    Attributes:
        rounds: How many more times to send it: those messages can cause more.
    """

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds


class KeysApp(App[int]):
    """Handles each key only after the previous one has taken effect.

    Textual sends a key to the focused widget and looks up its binding once the key has bubbled
    back. Keys that come faster, typed ahead or sent by a program, would all go to the widget that
    had the focus before the first of them took effect.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("buttons")

    PATIENCE: ClassVar[float] = 0.5
    """Seconds after which the next key is handled in any case."""

    def __init__(self) -> None:
        super().__init__()
        self._typed_keys: deque[events.Key] = deque()
        self._patience: Timer | None = None

    async def on_event(self, event: events.Event) -> None:
        """Hold keys back while an earlier one is being handled."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed_keys.append(event)
        if len(self._typed_keys) == 1:
            await self._take_key()

    async def _take_key(self) -> None:
        if not self.screen_stack:  # the application is closing
            self._typed_keys.clear()
            return
        self._patience = self.set_timer(self.PATIENCE, self._next_key)
        self._join_text()
        await super().on_event(self._meant(self._typed_keys[0]))
        self._follow_key(2)

    def _meant(self, event: events.Key) -> events.Key:
        """Return the key that a key stands for, unless it is text or can become text."""
        same = SAME_KEYS.get(event.key)
        if same is None or not self.screen.is_mounted:  # a screen that opens may begin with a field
            return event
        focused = self.focused
        if focused is not None and focused.check_consume_key(event.key, event.character):
            return event
        return events.Key(same, None)

    def _join_text(self) -> None:
        """Join waiting characters into one key if they go into a text field.

        Pasted text that the terminal does not mark as a paste arrives as thousands of keys, and the
        screen would be repainted for each.
        """
        # Text widgets have a blinking cursor; importing TextArea to check would slow the start.
        if not hasattr(self.focused, "cursor_blink"):
            return
        key = self._typed_keys[0].key
        text = "".join(_character(each) for each in takewhile(_character, self._typed_keys))
        if len(text) > 1:
            for _ in text:
                self._typed_keys.popleft()
            self._typed_keys.appendleft(events.Key(key, text))

    def _follow_key(self, rounds: int) -> None:
        if self.screen_stack:
            (self.focused or self.screen).post_message(_Settled(rounds))

    @on(_Settled)
    async def _arrived(self, message: _Settled) -> None:
        if message.rounds:
            self._follow_key(message.rounds - 1)
        else:
            await self._next_key()

    async def _next_key(self) -> None:
        if self._patience is not None:
            self._patience.stop()
        if self._typed_keys:
            self._typed_keys.popleft()
        if self._typed_keys:
            await self._take_key()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the arrows to the focused widget unless it is a button in a row."""
        return len(self._row()) > 1 if action == "beside" else True

    def action_beside(self, step: int) -> None:
        """Move to the next or previous button of the row."""
        row = self._row()
        place = next(i for i, each in enumerate(row) if each is self.focused) + step
        row[min(max(place, 0), len(row) - 1)].focus()

    def _row(self) -> list[Button]:
        """Return the buttons in the focused row."""
        focused = self.focused
        if not isinstance(focused, Button) or focused.parent is None:
            return []
        beside = focused.parent.children
        buttons = [each for each in beside if isinstance(each, Button)]
        return [each for each in buttons if each.display and each.focusable]
