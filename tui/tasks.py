"""Runs slow work in threads while workers of the interface wait for it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from textual.worker import active_worker

from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.answers.redact import Redactor


_Result = TypeVar("_Result")


async def in_thread(work: Callable[[], _Result], redactor: Redactor | None = None) -> _Result:
    """Run a function in a daemon thread and wait for it.

    Args:
        work: The function.
        redactor: Removes secrets from what is logged.

    Raises:
        MoorageError: The function raised it, or something unexpected, which is logged.
        CancelledError: The screen that waits is closing.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[_Result] = loop.create_future()

    def settle(result: _Result | None, error: MoorageError | None) -> None:
        if ended.cancelled():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(result)  # type: ignore[arg-type] # it is of that type without an error

    def run() -> None:
        result, error = _outcome(work, redactor)
        with suppress(RuntimeError):  # the application has ended
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="task", daemon=True).start()
    try:
        return await ended
    finally:
        if _is_over():
            raise asyncio.CancelledError


def _is_over() -> bool:
    """Return whether the worker's screen or widget is closing; its children may be gone."""
    worker = active_worker.get(None)
    if worker is None:
        return False
    node = worker.node
    return not node.app.is_running or node._closing or node._closed or node._pruning


def _outcome(
    work: Callable[[], _Result], redactor: Redactor | None
) -> tuple[_Result | None, MoorageError | None]:
    try:
        return work(), None
    except MoorageError as error:
        return None, error
    except Exception as error:  # the interface shows it
        from moorage import crash_log

        return None, crash_log.record(error, redactor)


# Several threads can be at work at the same time.
_USUAL_INTERVAL = sys.getswitchinterval()


@contextmanager
def beside_keys() -> Iterator[None]:
    """Let the interface answer keys at once while a thread of this process works hard.

    Threads take turns often; and nothing here is cyclic, so looking through a million objects for
    garbage would only hold up everything.
    """
    sys.setswitchinterval(0.0005)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(_USUAL_INTERVAL)
