"""The ways a check of a registry ends: with a detail, bad, or skipped."""

from __future__ import annotations

import hashlib

from moorage.deploy.verify.registry_client import Answer
from moorage.errors import MoorageError


class Bad(MoorageError):
    """A check failed; the text says why."""

    code = "check_failed"


class Skipped(Exception):  # not an error of the program
    """A check was skipped; the text says why.

    Args:
        text: Why.
        code: Why, as a code.
    """

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


def expect(answer: Answer, *statuses: int) -> Answer:
    """Return an answer that has one of the statuses.

    Raises:
        Bad: It has another one.
    """
    if answer.status not in statuses:
        expected = " or ".join(str(status) for status in statuses)
        got = f"{answer.request} returned {answer.status}, expected {expected}"
        raise Bad(f"{got}: {answer.excerpt}")
    return answer


def digest_of(content: bytes) -> str:
    """Return a blob's digest, as the registry names it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
