"""Keys: in the order they were typed, with Alt and digits, and along rows of buttons.

Everything that rests on private parts of Textual's keyboard is in here.
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

from tui.actions import bindings
from tui.document.steps import STEPS


def let_alt_numbers_through() -> None:
    """Make Alt+1 to Alt+7 keys of their own.

    Textual takes them for the characters that Option and a digit type on a Mac. A terminal that
    types those sends them as characters, so nothing is lost there.
    """
    sequences = cast("dict[str, object]", ANSI_SEQUENCES_KEYS)
    for step in STEPS:
        sequences.pop(f"\x1b{step.number}", None)


def _character(event: events.Key) -> str:
    """What a key types by itself, or nothing. Alt+2 has a character, too, and opens a step."""
    types = event.is_printable and "+" not in event.key
    return (event.character or "") if types else ""


class _Settled(Message):
    """Follows a key the way it bubbles, and so arrives behind whatever the key set off.

    Attributes:
        rounds: How often it still has to go that way: what was set off may set off more.
    """

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds


class KeysApp(App[int]):
    """Takes a key when the one before it has had its effect.

    Textual hands a key to the widget with the focus and looks for its binding when the key has
    bubbled back. Keys that come faster, typed ahead or sent by a program, would all be handed to
    the widget that had the focus before the first of them had its effect.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("buttons")

    PATIENCE: ClassVar[float] = 0.5
    """Seconds after which the next key is taken in any case."""

    def __init__(self) -> None:
        super().__init__()
        self._typed_keys: deque[events.Key] = deque()
        self._patience: Timer | None = None

    async def on_event(self, event: events.Event) -> None:
        """Keep keys back while an earlier one is on its way."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed_keys.append(event)
        if len(self._typed_keys) == 1:
            await self._take_key()

    async def _take_key(self) -> None:
        if not self.screen_stack:  # the application ends
            self._typed_keys.clear()
            return
        self._patience = self.set_timer(self.PATIENCE, self._next_key)
        self._join_text()
        await super().on_event(self._typed_keys[0])
        self._follow_key(2)

    def _join_text(self) -> None:
        """Make one key of the characters that wait for a field.

        A text that is pasted where terminals do not mark pastes comes as thousands of keys, each
        with a picture of its own.
        """
        # What takes text has a cursor that blinks; importing TextArea to ask would slow the start.
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
        """The arrows are for whatever has the focus, unless that is a button in a row."""
        return len(self._row()) > 1 if action == "beside" else True

    def action_beside(self, step: int) -> None:
        """Move to the button beside, or stay at the end of the row."""
        row = self._row()
        place = next(i for i, each in enumerate(row) if each is self.focused) + step
        row[min(max(place, 0), len(row) - 1)].focus()

    def _row(self) -> list[Button]:
        """The buttons of the row that has the focus."""
        focused = self.focused
        if not isinstance(focused, Button) or focused.parent is None:
            return []
        beside = focused.parent.children
        buttons = [each for each in beside if isinstance(each, Button)]
        return [each for each in buttons if each.display and each.focusable]
