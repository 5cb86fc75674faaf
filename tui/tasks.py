"""Slow work in threads of its own; its end comes back as a message."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.message import Message
from textual.message_pump import MessagePump

from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.answers.redact import Redactor


class JobEnded(Message, bubble=False):
    """A job ended: with a result, or with an error.

    Attributes:
        name: What the job was called when it began.
        result: What it returned; None when it failed.
        error: Why it failed, or None.
    """

    def __init__(self, name: str, result: Any, error: MoorageError | None) -> None:
        super().__init__()
        self.name = name
        self.result = result
        self.error = error


def start_job(
    receiver: MessagePump,
    name: str,
    work: Callable[[], object],
    redactor: Redactor | None = None,
) -> None:
    """Do work in a thread that does not keep the program from ending.

    Args:
        receiver: Gets :class:`JobEnded`, in the thread of the interface.
        name: What the job is called in the message.
        work: What to do; a MoorageError it raises is handed on, anything else is logged.
        redactor: Takes secrets out of what is logged.
    """

    def run() -> None:
        result: object = None
        failure: MoorageError | None = None
        try:
            result = work()
        except MoorageError as error:
            failure = error
        except Exception as error:  # the last stop before the interface
            from moorage import crash_log

            failure = crash_log.record(error, redactor)
        receiver.post_message(JobEnded(name, result, failure))

    threading.Thread(target=run, name=f"job-{name}", daemon=True).start()
