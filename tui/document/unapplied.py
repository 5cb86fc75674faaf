"""What was changed in the wizard since the last apply. No Textual in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.errors import MoorageError
from tui.document import store
from tui.document.draft import Draft

_NAMES = ("host", "name")
"""What tells the things of a list apart."""
_ASIDE = {"version", "ask", "based_on"}
_LOGIN = {"connection", "user", "port", "key", "passphrase", "password", "sudo_password", "jump"}
"""How a server is reached: nothing of it is applied to one."""


def not_applied(draft: Draft, read: Draft | None = None) -> tuple[str, ...]:
    """Return the settings that are not as they were last applied, as dotted places.

    Args:
        draft: What was typed so far.
        read: What was applied, as a server said; None where this machine knows it.
    """
    applied = read or store.last_applied(draft.domain)
    if applied is None:
        return ()
    try:
        now, before = _plain(draft), _plain(applied)
    except MoorageError:
        return ()
    return tuple(_differing(now, before, ""))


def _plain(draft: Draft) -> dict[str, Any]:
    """The answers without defaults, and without what is never applied."""
    answers = draft.answers()
    dumped = Draft.from_answers(answers).without_secrets()
    servers = [
        {name: value for name, value in server.items() if name not in _LOGIN}
        for server in dumped["servers"]
    ]
    return {key: value for key, value in dumped.items() if key not in _ASIDE} | {"servers": servers}


def _differing(now: Any, before: Any, place: str) -> list[str]:
    now, before = _by_name(now), _by_name(before)
    are_parts = isinstance(now, Mapping) and isinstance(before, Mapping)
    if not are_parts or place.endswith(".password"):
        return [] if now == before or _is_one_password(now, before) else [place]
    places = []
    for key in dict.fromkeys((*before, *now)):
        inside = f"{place}.{key}" if place else str(key)
        # A user or a section that is new or gone is one change, whatever it holds.
        places += _differing(now.get(key), before.get(key), inside)
    return places


def _by_name(value: Any) -> Any:
    """A list of things with names as a mapping, so that one more is one difference."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    for name in _NAMES:
        if value and all(isinstance(each, Mapping) and name in each for each in value):
            return {each[name]: each for each in value}
    return value


def _is_one_password(now: Any, before: Any) -> bool:
    """Whether a typed password and its hash meet: saving makes the one of the other."""
    kinds = [set(each) if isinstance(each, Mapping) else set() for each in (now, before)]
    return sorted(kinds, key=sorted) == [{"hash"}, {"prompt"}]
