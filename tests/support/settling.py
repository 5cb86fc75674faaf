"""Waiting until the wizard has done what it was told, at little cost.

Textual's Pilot sends a message to every widget and waits until all have come back. With some sixty
widgets on a screen and a wait after every key, that was a quarter of all work of these tests.
"""

from __future__ import annotations

import asyncio
import time

from textual.message_pump import MessagePump
from textual.pilot import Pilot, WaitForScreenTimeout


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
