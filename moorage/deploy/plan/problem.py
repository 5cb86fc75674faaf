"""A problem of a server."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.errors import MoorageError
from moorage.servers.facts import Facts


def problem_on(
    facts: Facts, code: str, message: str, advice: str = "", fields: Sequence[str] = ()
) -> MoorageError:
    """Return a problem of a server.

    Args:
        facts: What the probe read on it.
        code: What kind it is.
        message: What is wrong.
        advice: What to do; may be empty.
        fields: The fields of the answers that the advice is about, as dotted paths.
    """
    return MoorageError(message, advice=advice, fields=fields, server=facts.server, code=code)
