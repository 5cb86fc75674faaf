"""Words that the checks of the registry's settings share."""

from __future__ import annotations

import re
from collections.abc import Iterable

DOES_NOT_START = "does_not_start"
"""The code of problems that keep the registry from starting."""
IN_PLAIN_TEXT = "must not be in plain text; give it by reference, such as {env: NAME}"

# Names of headers, options and variables whose values are secrets.
_SECRET_NAME = re.compile(
    r"authorization|passw(or)?d|secret|token|api-?key|account-?key|access-?key|cookie", re.I
)
_LOGIN_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]*@", re.I)


def is_secret_name(name: str) -> bool:
    """Return whether the value of an option with this name is a secret."""
    return bool(_SECRET_NAME.search(name))


def has_login(text: str) -> bool:
    """Return whether a text is a URL with a password."""
    return bool(_LOGIN_IN_URL.match(text))


def list_words(words: Iterable[str], last: str) -> str:
    """Return words as people list them: ``a, b or c``."""
    listed = list(words)
    return f" {last} ".join(filter(None, (", ".join(listed[:-1]), listed[-1]))) if listed else ""
