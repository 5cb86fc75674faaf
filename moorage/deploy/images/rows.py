"""The images of a deployment as sorted and filtered rows, for both interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import compress
from typing import TypeVar

from moorage.deploy.images.activity import Activity, ImageUse
from moorage.deploy.images.name_pattern import NamePattern
from moorage.deploy.images.read import ImagesRead, no_such_image
from moorage.deploy.logs.rows import CHECK_REPOSITORY
from moorage.images.usage import RepositoryUsage, TagUsage, Usage
from moorage.units import count_text, date_text

_SAME_PUSH = 60.0
"""Seconds between the time of a tag's file and that of its push in the log, at most."""
_Row = TypeVar("_Row", RepositoryUsage, TagUsage)


class Order(StrEnum):
    """The order of repositories and tags."""

    NAME = "name"
    SIZE = "size"
    PUSHED = "pushed"
    PULLED = "pulled"


@dataclass(frozen=True)
class ImageName:
    """The name of a repository, or of an image in it.

    Attributes:
        repository: The repository.
        reference: A tag, a digest or its first digits; empty for the whole repository.
    """

    repository: str
    reference: str = ""


@dataclass(frozen=True)
class ImagesList:
    """The repositories and tags that were selected.

    Attributes:
        read: The images they are from.
        usage: The sizes of all images.
        repositories: The repositories, in order, with the selected tags.
        tags: The selected tags of all of them, in order.
    """

    read: ImagesRead
    usage: Usage
    repositories: tuple[RepositoryUsage, ...]
    tags: tuple[TagUsage, ...]


def with_uses(usage: Usage, activity: Activity) -> Usage:
    """Return sizes of images with their last pushes and pulls.

    Args:
        usage: The sizes.
        activity: The pushes and pulls that are known.
    """
    repositories = (_repository_with_uses(each, activity) for each in usage.repositories)
    return replace(usage, repositories=tuple(repositories))


def _repository_with_uses(row: RepositoryUsage, activity: Activity) -> RepositoryUsage:
    tags = tuple(_tag_with_uses(tag, activity) for tag in row.tags)
    _, pulled = activity.repositories.get(row.name, (None, None))
    return replace(
        row,
        tags=tags,
        pushed_by=next((tag.pushed_by for tag in tags if tag.pushed == row.pushed), ""),
        pulled=pulled.at if pulled else None,
        pulled_by=pulled.user if pulled else "",
    )


def _tag_with_uses(tag: TagUsage, activity: Activity) -> TagUsage:
    use = activity.of(tag.repository, tag.name, tag.digest)
    return replace(
        tag,
        pushed_by=pushed_by(use, tag.pushed),
        pulled=use.pulled.at if use.pulled else None,
        pulled_by=use.pulled.user if use.pulled else "",
    )


def pushed_by(use: ImageUse, pushed: float | None) -> str:
    """Return the user who pushed an image last; empty if not known.

    Args:
        use: Its last push in the log.
        pushed: When its file was written, in seconds since 1970. If that was later, it was by a
            push that the log does not have.
    """
    is_last = use.pushed is not None and use.pushed.at >= (pushed or 0) - _SAME_PUSH
    return use.pushed.user if use.pushed is not None and is_last else ""


def select(
    read: ImagesRead, usage: Usage, pattern: str, order: Order, *, with_checks: bool = False
) -> ImagesList:
    """Return the repositories and tags that match a pattern.

    Args:
        read: The images.
        usage: Their sizes.
        pattern: See :class:`NamePattern`; with or without the registry's name.
        order: The order.
        with_checks: Whether the repository that Moorage's own checks push to is among them, even
            if the pattern does not name it.
    """
    name = without_registry(pattern, read.domain)
    matching = NamePattern(name)
    found = []
    for each in usage.repositories:
        is_hidden = each.name == CHECK_REPOSITORY and not with_checks
        if is_hidden and name.partition(":")[0] != CHECK_REPOSITORY:
            continue
        selected = matching.select(each.name, [tag.name for tag in each.tags])
        if selected is not None:
            found.append(replace(each, tags=tuple(compress(each.tags, selected))))
    repositories = in_order(found, order)
    tags = in_order((tag for each in repositories for tag in each.tags), order)
    return ImagesList(read, usage, repositories, tags)


def below_hint(read: ImagesRead, pattern: str) -> str:
    """Return a hint for a pattern that matches nothing but names the folder of repositories.

    Args:
        read: The images.
        pattern: The pattern.
    """
    folder = without_registry(pattern, read.domain).rstrip("/")
    is_folder = any(name.startswith(f"{folder}/") for name in read.stored.tree.repositories)
    return f" Did you mean '{folder}/*'?" if is_folder else ""


def select_repository(read: ImagesRead, usage: Usage, repository: str) -> ImagesList:
    """Return one repository with its tags.

    Args:
        read: The images.
        usage: Their sizes.
        repository: Its name.

    Raises:
        MoorageError: There is no such repository.
    """
    found = tuple(each for each in usage.repositories if each.name == repository)
    if not found:
        raise no_such_image(f"There is no repository {repository}.", read.stored, repository)
    return ImagesList(read, usage, found, found[0].tags)


def in_order(rows: Iterable[_Row], order: Order) -> tuple[_Row, ...]:
    """Return repositories or tags in an order; those of which it is not known come last.

    Args:
        rows: The repositories or tags.
        order: The order.
    """
    if order is Order.SIZE:
        return tuple(sorted(rows, key=lambda row: (-row.size, *_name(row))))
    if order is Order.PULLED:
        return tuple(sorted(rows, key=lambda row: (-(row.pulled or 0), *_name(row))))
    if order is Order.PUSHED:
        return tuple(sorted(rows, key=lambda row: (-(row.pushed or 0), *_name(row))))
    return tuple(sorted(rows, key=_name))


def _name(row: RepositoryUsage | TagUsage) -> tuple[str, str]:
    return (row.repository, row.name) if isinstance(row, TagUsage) else (row.name, "")


def parse_image_name(text: str, domain: str) -> ImageName:
    """Parse a name as Docker takes it: with or without the registry's, a tag or a digest.

    Args:
        text: Such as team-a/app:1.2, or registry.example.com/team-a/app@sha256:3f2a91.
        domain: The registry's name.
    """
    name, _, digest = without_registry(text, domain).partition("@")
    folders, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return ImageName("/".join(filter(None, (folders, last))), digest or tag)


def kept_untagged_text(count: int, until: float | None) -> str:
    """Return why manifests without a tag stay and until when; empty if there are none.

    Args:
        count: The number of manifests.
        until: When they can be collected, in seconds since 1970; None if that is not known.
    """
    if not count:
        return ""
    stays, they, are = ("stays", "It", "it is") if count == 1 else ("stay", "They", "they are")
    text = (
        f"{count_text(count, 'manifest')} without a tag {stays}, because it is not known for long "
        "enough who pulls by digest."
    )
    if until is not None:
        text += f" {they} can be collected from {date_text(until)} on, unless {are} pulled."
    return text


def without_registry(text: str, domain: str) -> str:
    """Return an image's name, or a pattern, without the registry's name before it.

    Args:
        text: Such as team-a/app:1.2, or registry.example.com/team-a/app:1.2.
        domain: The registry's name.
    """
    first, slash, rest = text.partition("/")
    return rest if slash and first.partition(":")[0] == domain else text


def notes(tag: TagUsage) -> Iterator[str]:
    """Yield what there is to know about a tag besides its sizes.

    Args:
        tag: The tag.
    """
    if tag.problem:
        yield f"cannot be read: {tag.problem}"
    if tag.missing and tag.digest not in tag.missing:
        count = len(tag.missing)
        yield f"incomplete: {count} blob{'s are' if count != 1 else ' is'} missing"
    if tag.about:
        yield f"about {tag.about[:19]}"
