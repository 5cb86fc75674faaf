"""Waiting until the wizard is idle, and rendering it, at little cost.

Textual's Pilot sends a message to every widget and waits until all have come back. With some sixty
widgets on a screen and a wait after every key, that was a quarter of all work of these tests.

Without a terminal, Textual renders every change of a screen and discards the result, which was a
sixth of what was left. Tests render a screen when they read it.
"""

from __future__ import annotations

import asyncio
import time

from textual.message_pump import MessagePump
from textual.pilot import Pilot, WaitForScreenTimeout
from textual.screen import Screen


async def settle(pilot: Pilot[int], timeout: float = 60) -> bool:
    """Wait until the application and all widgets of its screen wait for messages themselves.

    Args:
        pilot: Who drives the application.
        timeout: Seconds.

    Returns:
        Whether it went on without an error.

    Raises:
        WaitForScreenTimeout: Something takes longer.
    """
    app = pilot.app
    end = time.monotonic() + timeout
    while app.screen_stack and not app._exception_event.is_set():
        await asyncio.sleep(0)
        if all(_waits(each) for each in (app, *app.screen.walk_children(with_self=True))):
            return True
        if time.monotonic() > end:
            raise WaitForScreenTimeout("some widgets did not come to rest")
        await asyncio.sleep(0.001)
    return False


def _waits(pump: MessagePump) -> bool:
    """Whether somebody waits for the next message, or will take no more."""
    queue = pump._message_queue
    return pump._closing or pump._closed or (queue.empty() and bool(queue.ready_event._waiters))  # type: ignore[attr-defined]


Pilot._wait_for_screen = settle  # type: ignore[method-assign,assignment]


_render = Screen._compositor_refresh


def _render_for_terminal(screen: Screen[object]) -> None:
    """Render what has changed, unless there is no terminal to show it."""
    if not screen.app.is_headless or screen is not screen.app.screen:
        _render(screen)
        return
    screen._compositor._dirty_regions.clear()
    screen._dirty_widgets.clear()
    screen.app.post_display_hook()
    screen.app._update_mouse_over(screen)


Screen._compositor_refresh = _render_for_terminal  # type: ignore[method-assign,assignment]
