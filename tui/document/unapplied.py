"""Settings changed since the last apply. Does not import Textual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.errors import MoorageError
from tui.document import store
from tui.document.draft import Draft

_NAMES = ("host", "name")
"""The keys that identify the items of a list."""
_NOT_SETTINGS = {"version", "ask", "based_on"}
_LOGIN = {"connection", "user", "port", "key", "passphrase", "password", "sudo_password", "jump"}
"""How to reach a server, which is not applied to it."""


def not_applied(draft: Draft, read: Draft | None = None) -> tuple[str, ...]:
    """Return the paths of settings that differ from the last apply.

    Args:
        draft: The draft.
        read: The applied answers as read from a server; None to use those on this machine.
    """
    applied = read or store.last_applied(draft.domain)
    if applied is None:
        return ()
    try:
        now, before = _plain(draft), _plain(applied)
    except MoorageError:
        return ()
    return tuple(differing(now, before, ""))


def is_as_applied(draft: Draft) -> bool:
    """Return whether a draft is what was last applied to its registry from this machine."""
    return store.last_applied(draft.domain) is not None and not not_applied(draft)


def is_older(draft: Draft, read: Draft | None = None) -> bool:
    """Return whether a draft is based on an earlier revision than the last apply.

    Args:
        draft: The draft.
        read: The applied answers as read from a server; None to use those on this machine.
    """
    applied = read or store.last_applied(draft.domain)
    bases = [each.get("based_on") if each is not None else None for each in (draft, applied)]
    own, last = (each if isinstance(each, int) else 0 for each in bases)
    return 0 < own < last


def _plain(draft: Draft) -> dict[str, Any]:
    """Return the answers without defaults and without what is never applied."""
    answers = draft.answers()
    dumped = Draft.from_answers(answers).without_secrets()
    servers = [
        {name: value for name, value in server.items() if name not in _LOGIN}
        for server in dumped["servers"]
    ]
    settings = {key: value for key, value in dumped.items() if key not in _NOT_SETTINGS}
    return settings | {"servers": servers}


def differing(now: Any, before: Any, place: str) -> list[str]:
    """Return the paths at which two answers differ; items of lists are named, not numbered."""
    now, before = by_name(now), by_name(before)
    are_parts = isinstance(now, Mapping) and isinstance(before, Mapping)
    if not are_parts or place.endswith(".password"):
        return [] if now == before or _is_same_password(now, before) else [place]
    places = []
    for key in dict.fromkeys((*before, *now)):
        inside = f"{place}.{key}" if place else str(key)
        # A new or removed user or section is one change, whatever is in it.
        places += differing(now.get(key), before.get(key), inside)
    return places


def by_name(value: Any) -> Any:
    """Return a list of named items as a mapping, so that one more is one difference."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    for name in _NAMES:
        if value and all(isinstance(each, Mapping) and name in each for each in value):
            return {each[name]: each for each in value}
    return value


def _is_same_password(now: Any, before: Any) -> bool:
    """Return whether one is a typed password and the other a hash, which saving makes of it."""
    kinds = [set(each) if isinstance(each, Mapping) else set() for each in (now, before)]
    return sorted(kinds, key=sorted) == [{"hash"}, {"prompt"}]
