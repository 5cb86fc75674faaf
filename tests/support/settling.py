"""Cheap ways to wait until the wizard is idle, and to render it.

Textual's Pilot sends a message to every widget and waits until all have been handled. With about
sixty widgets on a screen and a wait after every key, that took a quarter of these tests' time.

Without a terminal, Textual renders every change of a screen and discards the result, which took a
sixth of the rest. Tests render a screen when they read it.

Each application parses Textual's and the wizard's style sheets, which are the same for all tests.
"""

from __future__ import annotations

import asyncio
import time

from textual.cache import LRUCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.message_pump import MessagePump
from textual.pilot import Pilot, WaitForScreenTimeout
from textual.screen import Screen


async def settle(pilot: Pilot[int], timeout: float = 60) -> bool:
    """Wait until the screen is laid out and its widgets and application have nothing to handle.

    Args:
        pilot: The application's pilot.
        timeout: Seconds.

    Returns:
        Whether it continued without an error.

    Raises:
        WaitForScreenTimeout: It took longer.
    """
    app = pilot.app
    end = time.monotonic() + timeout
    while app.screen_stack and not app._exception_event.is_set():
        await asyncio.sleep(0)
        screen = app.screen
        if all(_waits(each) for each in (app, *screen.walk_children(with_self=True))):
            if app._exit or _is_laid_out(screen):
                return True
            screen._on_timer_update()
        if time.monotonic() > end:
            raise WaitForScreenTimeout("some widgets did not become idle")
        await asyncio.sleep(0.001)
    return False


def _is_laid_out(screen: Screen[object]) -> bool:
    """Return whether a screen shows its widgets where they are now, and has told them so.

    A screen does so up to a sixtieth of a second after its last message was handled. Until its
    first layout, its text is empty.
    """
    pending = screen._layout_required or screen._scroll_required or screen._recompose_required
    return bool(screen._compositor.size) and not pending and not screen._callbacks


def _waits(pump: MessagePump) -> bool:
    """Return whether a widget waits for its next message, or is closed."""
    queue = pump._message_queue
    return pump._closing or pump._closed or (queue.empty() and bool(queue.ready_event._waiters))  # type: ignore[attr-defined]


Pilot._wait_for_screen = settle  # type: ignore[method-assign,assignment]


_render = Screen._compositor_refresh


def _render_for_terminal(screen: Screen[object]) -> None:
    """Render changes, but only if there is a terminal."""
    if not screen.app.is_headless or screen is not screen.app.screen:
        _render(screen)
        return
    screen._compositor._dirty_regions.clear()
    screen._dirty_widgets.clear()
    screen.app.post_display_hook()
    screen.app._update_mouse_over(screen)


Screen._compositor_refresh = _render_for_terminal  # type: ignore[method-assign,assignment]


_create, _set_variables = Stylesheet.__init__, Stylesheet.set_variables
_parsed: dict[tuple[tuple[str, str], ...], LRUCache[tuple[object, ...], list[RuleSet]]] = {}
"""The rules that were parsed, by the variables of the theme: each application has the same ones."""


def _create_with_rules(sheet: Stylesheet, *, variables: dict[str, str] | None = None) -> None:
    _create(sheet, variables=variables)
    _share_rules(sheet)


def _use_other_rules(sheet: Stylesheet, variables: dict[str, str]) -> None:
    sheet._parse_cache = LRUCache(1)  # it is cleared
    _set_variables(sheet, variables)
    _share_rules(sheet)


def _share_rules(sheet: Stylesheet) -> None:
    theme = tuple(sorted(sheet._variables.items()))
    sheet._parse_cache = _parsed.setdefault(theme, LRUCache(1024))


Stylesheet.__init__ = _create_with_rules  # type: ignore[method-assign]
Stylesheet.set_variables = _use_other_rules  # type: ignore[method-assign]
RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]
"""The same as Textual's, but not a call of Python for each of millions of look-ups."""
