"""Marked images, and those whose deletion is staged. No Textual in here."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from moorage.images.tree import Tree


@dataclass(frozen=True)
class _Names:
    """Names as ``REPOSITORY`` or ``REPOSITORY:TAG``."""

    marked: frozenset[str] = frozenset()
    staged: frozenset[str] = frozenset()


class Marks:
    """Tags and repositories that are marked, and those that are staged for deletion.

    They are names, so that sorting, finding and reading again do not change them.
    """

    def __init__(self) -> None:
        self._now = _Names()
        self._earlier: list[_Names] = []
        self._partly: frozenset[str] = frozenset()

    @property
    def marked(self) -> frozenset[str]:
        """The marked names."""
        return self._now.marked

    @property
    def staged(self) -> frozenset[str]:
        """The names whose deletion is staged."""
        return self._now.staged

    @property
    def can_undo(self) -> bool:
        """Whether anything was staged or taken back."""
        return bool(self._earlier)

    def toggle(self, name: str) -> None:
        """Mark a name, or remove its mark."""
        self._set(_Names(self.marked ^ {name}, self.staged))

    def stage(self, names: Iterable[str]) -> None:
        """Stage deletions; take them back if all of them are staged. Removes all marks.

        Args:
            names: The names.
        """
        chosen = frozenset(names)
        staged = self.staged - chosen if chosen <= self.staged else self.staged | chosen
        self._earlier.append(self._now)
        self._set(_Names(frozenset(), staged))

    def undo(self) -> None:
        """Undo the last staging, and mark again what was marked then."""
        if self._earlier:
            self._set(self._earlier.pop())

    def clear_staged(self) -> None:
        """Forget what is staged, because it was deleted."""
        self._earlier.clear()
        self._set(_Names(self.marked, frozenset()))

    def keep(self, tree: Tree) -> list[str]:
        """Forget what no longer exists.

        Args:
            tree: The images that were read.

        Returns:
            The names whose deletion was staged.
        """
        lost = sorted(name for name in self.staged if not _exists(tree, name))
        marked = frozenset(name for name in self.marked if _exists(tree, name))
        if lost:
            self._earlier.clear()
        self._set(_Names(marked, self.staged.difference(lost)))
        return lost

    def sign_of(self, repository: str, tag: str = "") -> str:
        """Return the sign of a row: ``-`` is staged, ``●`` is marked, ``·`` contains such tags."""
        name = f"{repository}:{tag}" if tag else repository
        if self.is_staged(repository, tag):
            return "-"
        if name in self.marked:
            return "●"
        return "·" if not tag and repository in self._partly else " "

    def is_staged(self, repository: str, tag: str = "") -> bool:
        """Return whether a repository, or a tag by itself or with its repository, is staged."""
        return repository in self.staged or (bool(tag) and f"{repository}:{tag}" in self.staged)

    @property
    def to_delete(self) -> tuple[str, ...]:
        """The staged names, without the tags of repositories that are deleted entirely."""
        return tuple(
            name for name in sorted(self.staged)
            if ":" not in name or name.partition(":")[0] not in self.staged
        )  # fmt: skip

    def _set(self, names: _Names) -> None:
        self._now = names
        tags = (each for each in names.marked | names.staged if ":" in each)
        self._partly = frozenset(each.partition(":")[0] for each in tags)


def count_names(names: Collection[str]) -> tuple[int, int]:
    """Return the number of tags and of repositories among names."""
    tags = sum(":" in name for name in names)
    return tags, len(names) - tags


def _exists(tree: Tree, name: str) -> bool:
    repository, _, tag = name.partition(":")
    there = tree.repositories.get(repository)
    return there is not None and (not tag or tag in there.tags)
