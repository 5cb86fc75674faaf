"""Say in words what a run on images was to do and has done, and by whom."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from moorage.deploy.record.revisions import operator
from moorage.images.collection import VERIFY
from moorage.images.task import Task
from moorage.images.trash import TrashedRun
from moorage.units import count_text, exact_size, size_text

_MOST = 10**15
_NAME = re.compile(r"[a-z_]{1,20}")


@dataclass(frozen=True)
class ImagesSummary:
    """A run on images.

    Attributes:
        action: See :class:`Task`.
        by: The operator and their machine; empty if not known, or for a timer.
        tags: The number of tags to delete, remove or restore.
        tag_repositories: The number of repositories with these tags.
        repositories: The number of whole repositories.
        numbers: What it counted at its end; see :class:`ImagesChange`.
    """

    action: str
    by: str = ""
    tags: int = 0
    tag_repositories: int = 0
    repositories: int = 0
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """The change in words; empty if not known."""
        if self.action == "delete":
            return _joined("deleted", self._names())
        if self.action == "restore":
            is_known = self.tags or self.repositories
            names = self._names() if is_known else "everything in the trash" * bool(self.by)
            return _joined("restored", names)
        if self.action == "retain":
            return _joined("removed", self._removed(), "by the retention rules")
        if self.action == "collect":
            return self._collected()
        if self.action == "scheduled" and self.numbers:
            removed = self._removed() if self.numbers.get("tags") else ""
            parts = (_joined("removed", removed, "by the retention rules"), self._collected())
            return ", ".join(each for each in parts if each)
        return ""

    def _names(self) -> str:
        whole = count_text(self.repositories, "whole repository", "whole repositories")
        parts = (self._tags(self.tags) if self.tags else "", whole * bool(self.repositories))
        return " and ".join(each for each in parts if each)

    def _removed(self) -> str:
        # A tag that was pushed or pulled meanwhile has stayed.
        count = self.numbers.get("tags", self.tags)
        return self._tags(count) if self.by or count else ""

    def _tags(self, count: int) -> str:
        repositories = count_text(self.tag_repositories, "repository", "repositories")
        return count_text(count, "tag") + f" of {repositories}" * bool(self.tag_repositories)

    def _collected(self) -> str:
        if not self.numbers:
            return ""
        blobs, purged = self.numbers.get("blobs", 0), self.numbers.get("purged", 0)
        size = size_text(self.numbers.get("bytes", 0))
        parts = [f"collected {size} in {count_text(blobs, 'blob')}"] if blobs else []
        parts += [f"deleted {size_text(purged)} from the trash"] if purged else []
        return ", ".join(parts) or "collected nothing"


def result_text(task: Task | None, numbers: Mapping[str, int]) -> str:
    """Return what a run that succeeded has done, in sentences.

    Args:
        task: Its task; None if it is not known.
        numbers: What it counted; see :class:`ImagesChange`.
    """
    return ". ".join(_results(task, numbers)) + "."


def _results(task: Task | None, numbers: Mapping[str, int]) -> list[str]:
    action = task.action if task is not None else ""
    counted = (("repositories", "repository", "repositories"), ("tags", "tag", "tags"))
    deleted = [count_text(numbers[name], *nouns) for name, *nouns in counted if numbers.get(name)]
    if action == "collect" and numbers.get("repositories"):
        deleted[0] = f"{VERIFY}, which Moorage's own checks had left"  # no other goes
    parts = [f"Deleted {' and '.join(deleted)}"] if deleted else []
    if numbers.get("blobs") and action != "delete":
        blobs = count_text(numbers["blobs"], "blob")
        parts.append(f"Moved {exact_size(numbers.get('bytes', 0))} in {blobs} to the trash")
    if numbers.get("purged"):
        parts.append(f"Freed {exact_size(numbers['purged'])}")
    if "restored" in numbers:
        what = _summary(task).what if task is not None else "restored images from the trash"
        parts.append(what[:1].upper() + what[1:])
    if numbers.get("held_ms"):
        parts.append(f"Pushes waited for {numbers['held_ms'] / 1000:.1f} s at most")
    return parts or ["The run has ended, and moved nothing"]


DATA_IN_STORE = (
    "The data of deleted images stays in the store until a collection moves it to the trash."
)
"""The reason why what was deleted takes up next to no space in the trash."""


def trashed_text(run: TrashedRun) -> str:
    """Return what a run moved to the trash and is still there.

    Args:
        run: Its part of the trash.
    """
    whole = count_text(len(run.repositories), "repository", "repositories")
    if run.inside:
        whole += f" with {count_text(len(run.inside), 'tag')}"
    parts = [whole] if run.repositories else []
    kinds = ((run.named_tags, "tag"), (run.manifests, "manifest"))
    parts += [count_text(len(found), noun) for found, noun in kinds if found]
    if not run.blobs:
        return f"deleted {', '.join(parts) or 'links'}"
    return ", ".join([f"collected {count_text(run.blobs, 'blob')}", *parts])


def kept_tags_text(numbers: Mapping[str, int]) -> str:
    """Return how many tags were not restored and why, as a sentence; empty if all were.

    Args:
        numbers: What a run counted.
    """
    kept = numbers.get("kept_tags", 0)
    them = "it was" if kept == 1 else "they were"
    return f"{count_text(kept, 'tag')} not restored, because {them} pushed again." if kept else ""


def _joined(verb: str, names: str, end: str = "") -> str:
    return " ".join(each for each in (verb, names, end) if each) if names else ""


def summary_of(task: Task) -> bytes:
    """Return the file in a run's folder that tells the history what it is to do, and for whom.

    The task itself can name very many tags.

    Args:
        task: The task.
    """
    values = asdict(_summary(task))
    del values["numbers"]
    return json.dumps(values).encode()


def _summary(task: Task) -> ImagesSummary:
    return ImagesSummary(
        task.action,
        operator(),
        len(task.tags),
        len({repository for repository, *_ in task.tags}),
        len(task.repositories),
    )


def read_summary(values: Mapping[str, object]) -> ImagesSummary:
    """Return a summary from a server; one of a run of an earlier version has only its action.

    Args:
        values: The file's values. All of them can have been written by others.
    """
    tags = values.get("tags")
    if isinstance(tags, list):  # a task
        return ImagesSummary(str(values.get("action", "")))
    return ImagesSummary(
        str(values.get("action", "")),
        str(values.get("by", ""))[:200],
        _count(values.get("tags")),
        _count(values.get("tag_repositories")),
        _count(values.get("repositories")),
    )


def read_numbers(fields: list[str]) -> dict[str, int]:
    """Return what a run counted, from names and numbers in turn.

    Args:
        fields: The names and numbers.
    """
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return {
        name: int(value)
        for name, value in pairs
        if _NAME.fullmatch(name) and re.fullmatch(r"[0-9]{1,15}", value)
    }


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < _MOST else 0
