"""Patterns of repositories and tags, as docs/images.md describes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

WILD = frozenset("*?")


class NamePattern:
    """A pattern that selects repositories and tags; case does not count.

    Args:
        text: A repository, or REPOSITORY:TAG, where ``*`` and ``?`` stand for any characters and
            ``[ab]`` for one of these. With ``*`` or ``?``, it can be a tag alone, too. Empty
            selects everything.
    """

    def __init__(self, text: str) -> None:
        repository, colon, tag = text.lower().partition(":")
        self._has_tag = bool(colon and tag)
        self._matches = _matcher(repository)
        self._matches_tag = _matcher(tag if self._has_tag else repository)
        self._can_be_tag = not colon and bool(WILD & set(repository))

    def select(self, repository: str, tags: Sequence[str]) -> list[bool] | None:
        """Return which tags of a repository are selected; None if nothing of it is.

        Args:
            repository: Its name.
            tags: Its tags; all are selected if the pattern matches the repository and names no tag.
        """
        is_match = self._matches(repository.lower())
        if is_match and not self._has_tag:
            return [True] * len(tags)
        if not (is_match or self._can_be_tag):
            return None
        selected = [self._matches_tag(tag.lower()) for tag in tags]
        return selected if any(selected) else None


def _matcher(pattern: str) -> Callable[[str], bool]:
    if not pattern:
        return lambda name: True
    compiled = re.compile(translate(pattern))
    return lambda name: compiled.match(name) is not None
