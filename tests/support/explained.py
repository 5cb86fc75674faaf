"""Problems as the sentences that people read."""

from __future__ import annotations

from moorage.deploy.status.status import ServerStatus


def explained(status: ServerStatus) -> tuple[str, ...]:
    """Return a server's problems, each with its advice."""
    return tuple(each.explain() for each in status.problems)
