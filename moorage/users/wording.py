"""What a run says, in the words of a change of the users."""

from __future__ import annotations

_APPLY = "since the plan was made; plan again"
_USERS = "since the users were read; try the change again"


def of_users(message: str) -> str:
    """Return what a run says with the advice that fits: an apply is planned, users are read.

    Args:
        message: Why the run ended.
    """
    return message.replace(_APPLY, _USERS)
