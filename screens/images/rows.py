"""The rows of the tables, their order, and which of them match a text. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

from moorage.deploy.images.name_pattern import WILD, NamePattern
from moorage.deploy.logs.rows import CHECK_REPOSITORY
from moorage.images.usage import RepositoryUsage, TagUsage, Usage

_DIGITS = re.compile(r"([0-9]+)")
NaturalKey = tuple[tuple[int | str, ...], str]


@dataclass(frozen=True)
class RepositoryRow:
    """A line of the repositories.

    Attributes:
        usage: The repository.
        tags: Its tags that match.
    """

    usage: RepositoryUsage
    tags: tuple[TagUsage, ...]

    @property
    def shared_size(self) -> int:
        """Bytes that other repositories refer to as well."""
        return self.usage.size - self.usage.own_size


@dataclass(frozen=True)
class TagRow:
    """A line of the tags.

    Attributes:
        tag: The tag.
        bracket: The line that joins the tags of one digest, or a space.
    """

    tag: TagUsage
    bracket: str


@dataclass(frozen=True)
class _Searchable:
    usage: RepositoryUsage

    @cached_property
    def name(self) -> str:
        return self.usage.name.lower()

    @cached_property
    def tags(self) -> tuple[str, ...]:
        return tuple(f"{self.name}:{tag.name.lower()}" for tag in self.usage.tags)

    @cached_property
    def all_of_it(self) -> str:
        return "\n".join((self.name, *self.tags))

    @property
    def is_check(self) -> bool:
        return self.usage.name == CHECK_REPOSITORY

    def find(self, text: str) -> RepositoryRow | None:
        """Return the repository with all its tags if its name matches, or else those that do."""
        if text in self.name:
            return RepositoryRow(self.usage, self.usage.tags)
        if text not in self.all_of_it:
            return None
        return self._row(text in each for each in self.tags)

    def match(self, pattern: NamePattern) -> RepositoryRow | None:
        """Return the same for a pattern."""
        selected = pattern.select(self.usage.name, [tag.name for tag in self.usage.tags])
        return None if selected is None else self._row(selected)

    def _row(self, selected: Iterable[bool]) -> RepositoryRow:
        return RepositoryRow(self.usage, tuple(compress(self.usage.tags, selected)))


class Search:
    """Finds repositories and tags.

    Args:
        usage: All of them.
    """

    def __init__(self, usage: Usage) -> None:
        by_name = sorted(usage.repositories, key=lambda each: natural(each.name))
        self._repositories = [_Searchable(each) for each in by_name]
        for each in self._repositories:
            each.all_of_it  # noqa: B018 # while nobody types
        self.has_checks = any(each.is_check for each in self._repositories)

    def find(self, text: str, *, with_checks: bool) -> list[RepositoryRow]:
        """Return the repositories that match, or of which a tag does, by name.

        Args:
            text: A part of ``repository:tag``, or with ``*`` or ``?`` a :class:`NamePattern`; case
                does not count.
            with_checks: Whether to return the repository of Moorage's own checks.
        """
        text = text.strip().lower()
        chosen = [each for each in self._repositories if with_checks or not each.is_check]
        if WILD & set(text):
            pattern = NamePattern(text)
            found = (each.match(pattern) for each in chosen)
        else:
            found = (each.find(text) for each in chosen)
        return [row for row in found if row is not None]


REPOSITORY_ORDERS: Mapping[str, Callable[[RepositoryRow], float]] = {
    "own size": lambda row: -row.usage.own_size,
    "last push": lambda row: -(row.usage.pushed or 0.0),
    "last pull": lambda row: -(row.usage.pulled or 0.0),
    "tags": lambda row: -len(row.tags),
    "name": lambda row: 0,
}
"""The orders of the repositories; those that are equal are in order of their names."""

TAG_ORDERS = ("last push", "last pull", "own size", "name")
"""The orders of the tags."""


def sorted_repositories(rows: Iterable[RepositoryRow], order: str) -> list[RepositoryRow]:
    """Return the rows of the repositories in an order.

    Args:
        rows: The rows, by name.
        order: One of :data:`REPOSITORY_ORDERS`.
    """
    return sorted(rows, key=REPOSITORY_ORDERS[order])


def tag_rows(tags: Sequence[TagUsage], order: str) -> list[TagRow]:
    """Return the rows of a repository's tags, those of one digest together.

    Args:
        tags: The tags.
        order: One of :data:`TAG_ORDERS`. A digest is as new as the latest push of its tags.
    """
    groups: dict[str, list[TagUsage]] = {}
    for tag in tags:
        # Unreadable links do not have the same digest: it is not known.
        groups.setdefault(tag.digest or f":{tag.name}", []).append(tag)
    ordered = [sorted(group, key=_by_name) for group in groups.values()]
    ordered.sort(key=lambda group: _by_name(group[0]))
    if order == "last push":
        ordered.sort(key=lambda group: -max(tag.pushed or 0.0 for tag in group))
    elif order == "last pull":
        ordered.sort(key=lambda group: -max(tag.pulled or 0.0 for tag in group))
    elif order == "own size":
        ordered.sort(key=lambda group: -group[0].own_size)
    return [
        TagRow(tag, bracket)
        for group in ordered
        for tag, bracket in zip(group, _brackets(len(group)), strict=True)
    ]


def _brackets(count: int) -> str:
    return " " if count == 1 else f"┌{'│' * (count - 2)}└"


def _by_name(tag: TagUsage) -> NaturalKey:
    return natural(tag.name)


def natural(name: str) -> NaturalKey:
    """Return a key that sorts v2 before v10."""
    parts = _DIGITS.split(name.lower())
    # Texts and numbers alternate, so that only equal kinds are compared.
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), name
