"""Images as text and as JSON values."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from moorage.cli.errors import explain
from moorage.cli.plan_view import Line
from moorage.cli.tables import Cell, aligned
from moorage.deploy.images.activity import Activity, ImageUse, Use
from moorage.deploy.images.read import ImagesRead
from moorage.deploy.images.rows import ImagesList, kept_untagged_text, notes, pushed_by
from moorage.deploy.images.space import growth_text
from moorage.deploy.logs.rows import CHECK_REPOSITORY
from moorage.escape import one_line
from moorage.images.details import Config, ImageDetails, PlatformImage, Referrer
from moorage.images.growth import growth_of
from moorage.images.space import Reclaimable
from moorage.images.usage import RepositoryUsage, TagUsage
from moorage.units import age_text, count_text, size_text

_SHORT = 19
"""Characters of a digest that are shown in tables: sha256: and twelve digits."""
_MOST_COMMAND = 200
_LEFT_OUT = ("own", "digest", "platforms")
"""Columns that narrow terminals do without, in this order, after those without any value."""


def list_lines(
    listed: ImagesList,
    activity: Activity,
    found: Reclaimable,
    *,
    with_tags: bool,
    width: int | None = None,
) -> Iterator[Line]:
    """Yield images as a table, and the totals.

    Args:
        listed: The images.
        activity: The pushes and pulls that are known.
        found: The space that can be freed.
        with_tags: Whether to show tags instead of repositories.
        width: The columns of the terminal; the table leaves out some of its own to fit.
    """
    now = time.time()
    head: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    if with_tags:
        head = ("image", "digest", "platforms", "size", "own", "last push", "last pull", "notes")
        rows = [_tag_cells(tag, now) for tag in listed.tags]
    else:
        head = ("repository", "tags", "size", "own", "last push", "last pull")
        rows = [_repository_cells(each, now) for each in listed.repositories]
    if rows:
        yield from aligned(fitting([tuple((title, "bold") for title in head), *rows], width))
        yield ("",)
    yield from _total_lines(listed)
    yield from _reclaimable_lines(found)
    yield (f"Read from {one_line(str(listed.read.store))}.",)
    yield from _pulls_lines(activity)


def fitting(rows: Sequence[tuple[Cell, ...]], width: int | None) -> list[tuple[Cell, ...]]:
    """Return a table without the columns that a narrow terminal has no room for.

    Args:
        rows: The rows; the first one has the titles.
        width: The columns of the terminal; None for any number.
    """
    table = [[cell if isinstance(cell, str) else cell[0] for cell in row] for row in rows]
    widths = {column[0]: max(map(len, column)) + 2 for column in zip(*table, strict=True)}
    empty = [column[0] for column in zip(*table, strict=True) if set(column[1:]) == {"-"}]
    for title in (*empty, *_LEFT_OUT):
        if width is None or sum(widths.values()) - 2 <= width:
            break
        widths.pop(title, None)
    kept = [number for number, title in enumerate(table[0]) if title in widths]
    return [tuple(row[number] for number in kept) for row in rows]


def _pulls_lines(activity: Activity) -> Iterator[Line]:
    """Yield since when pulls are known, or why not."""
    if activity.covers_since is not None:
        yield (f"All pulls since {time_text(activity.covers_since)} are known.",)
    for error in activity.left_out:
        yield (("! ", "yellow"), f"{error.server}: last pulls are not known: {explain(error)}")


def _repository_cells(row: RepositoryUsage, now: float) -> tuple[Cell, ...]:
    return (
        one_line(row.name),
        str(len(row.tags)),
        size_text(row.size),
        size_text(row.own_size),
        _use_text(row.pushed, row.pushed_by, now),
        _use_text(row.pulled, row.pulled_by, now),
    )


def _use_text(at: float | None, user: str, now: float) -> str:
    return f"{age_text(at, now)} by {one_line(user)}" if user else age_text(at, now)


def _tag_cells(tag: TagUsage, now: float) -> tuple[Cell, ...]:
    note = "; ".join(notes(tag))
    return (
        one_line(f"{tag.repository}:{tag.name}"),
        tag.digest[:_SHORT] or "-",
        one_line(" ".join(tag.platforms)) or "-",
        size_text(tag.size),
        size_text(tag.own_size),
        _use_text(tag.pushed, tag.pushed_by, now),
        _use_text(tag.pulled, tag.pulled_by, now),
        (one_line(note) or "-", "yellow" if tag.problem or tag.missing else "dim"),
    )


def _total_lines(listed: ImagesList) -> Iterator[Line]:
    usage, shown = listed.usage, len(listed.repositories)
    if shown != len(usage.repositories):
        line = f"{_repositories(shown)} of {len(usage.repositories)} shown."
        hidden = {each.name for each in usage.repositories} - {
            each.name for each in listed.repositories
        }
        if hidden == {CHECK_REPOSITORY}:
            line += f" --all also shows {CHECK_REPOSITORY}, that of Moorage's own checks."
        yield (line,)
    tags = sum(len(each.tags) for each in usage.repositories)
    total = f"{size_text(usage.size)} in {count_text(usage.blobs, 'blob')}"
    if usage.untagged_size:
        total += f", {size_text(usage.untagged_size)} of it without a tag"
    yield (f"{_repositories(len(usage.repositories))}, {count_text(tags, 'tag')}: {total}.",)
    growth = growth_of(listed.read.stored.tree, listed.read.server_time)
    if growth is not None:
        yield (growth_text(growth, listed.read.free),)


def _reclaimable_lines(found: Reclaimable) -> Iterator[Line]:
    """Yield what can be freed, and until when manifests without a tag stay."""
    sizes = (("Collectable", found.collectable), ("In the trash", found.trash))
    known = [f"{label}: {size_text(size)}." for label, size in sizes if size]
    if known:
        yield (" ".join(known),)
    if kept := kept_untagged_text(found.kept_untagged, found.kept_until):
        yield (kept,)


def _repositories(number: int) -> str:
    return count_text(number, "repository", "repositories")


def list_as_json(listed: ImagesList, activity: Activity, found: Reclaimable) -> dict[str, object]:
    """Return images as JSON values; see :func:`list_lines`."""
    usage = listed.usage
    return {
        **_read_as_json(listed.read),
        "bytes": usage.size,
        "untagged_bytes": usage.untagged_size,
        "collectable_bytes": found.collectable,
        "trash_bytes": found.trash,
        "kept_untagged": found.kept_untagged,
        "kept_until": time_text(found.kept_until),
        "free_bytes": listed.read.free,
        "blobs": usage.blobs,
        "growth": _growth_as_json(listed.read),
        "pulls_known_since": time_text(activity.covers_since),
        "repositories": [
            {
                "name": each.name,
                "bytes": each.size,
                "own_bytes": each.own_size,
                "untagged_manifests": each.untagged,
                **_uses_as_json(each),
                "tags": [_tag_as_json(tag) for tag in each.tags],
            }
            for each in listed.repositories
        ],
    }


def _growth_as_json(read: ImagesRead) -> dict[str, object] | None:
    """Return how fast the images grow; None if that is not known yet."""
    growth = growth_of(read.stored.tree, read.server_time)
    if growth is None:
        return None
    left = growth.days_until_full(read.free) if read.free is not None else None
    return {
        "days": growth.days,
        "bytes_per_day": round(growth.per_day),
        "days_until_full": None if left is None else round(left, 1),
    }


def _read_as_json(read: ImagesRead) -> dict[str, object]:
    store = read.store
    is_bucket = bool(store.bucket)
    return {
        "domain": read.domain,
        "store": {
            "driver": "s3" if is_bucket else "filesystem",
            "server": store.server or None,
            "folder": None if is_bucket else store.folder,
            "bucket": store.bucket or None,
            "prefix": store.folder if is_bucket else None,
            "endpoint": store.endpoint or None,
        },
        "read_at": time_text(read.at),
    }


def _uses_as_json(row: RepositoryUsage | TagUsage) -> dict[str, object]:
    return {
        "pushed_at": time_text(row.pushed),
        "pushed_by": row.pushed_by or None,
        "pulled_at": time_text(row.pulled),
        "pulled_by": row.pulled_by or None,
    }


def _tag_as_json(tag: TagUsage) -> dict[str, object]:
    return {
        "name": tag.name,
        "digest": tag.digest or None,
        "platforms": list(tag.platforms),
        "bytes": tag.size,
        "own_bytes": tag.own_size,
        **_uses_as_json(tag),
        "about": tag.about or None,
        "missing": list(tag.missing),
        "problem": tag.problem or None,
    }


def image_lines(read: ImagesRead, image: ImageDetails, use: ImageUse) -> Iterator[Line]:
    """Yield an image as text.

    Args:
        read: The images it is from.
        image: The image.
        use: Its last pushes and pulls.
    """
    now = time.time()
    name = f"{image.repository}:{image.tag}" if image.tag else image.repository
    yield ((one_line(name), "bold"),)
    own = f", {size_text(image.own_size)} of it not shared" if image.own_size is not None else ""
    yield from _properties([
        ("digest", image.digest),
        ("type", image.media_type),
        ("tags", " ".join(image.tags)),
        ("size", f"{size_text(image.size)}{own}"),
        ("last push", f"{age_text(image.pushed, now)}  {time_text(image.pushed) or ''}".rstrip()),
        ("pushed by", pushed_by(use, image.pushed)),
        ("last pull", _pull_text(use.pulled, now)),
        *((f"annotation {key}", value) for key, value in image.annotations),
    ])  # fmt: skip
    if image.problem:
        yield (("The manifest cannot be read: ", "yellow"), f"{image.problem}.")
    for digest in image.missing:
        yield (("missing  ", "red"), digest)
    for each in image.images:
        if each.digest != image.digest or not image.problem:
            yield ("",)
            yield from _platform_lines(each, is_single=len(image.images) == 1)
    yield from _referrer_lines(image.referrers)
    if image.earlier:
        yield ("",)
        yield ((f"Earlier images of {one_line(image.tag)}", "bold"),)
        states = ("deleted", "stored")
        yield from aligned([
            (f"  {each.digest}", age_text(each.pushed, now), states[each.is_stored])
            for each in image.earlier
        ])  # fmt: skip
    yield ("",)
    yield (f"Read from {one_line(str(read.store))}.",)


def _pull_text(pull: Use | None, now: float) -> str:
    if pull is None:
        return ""
    return f"{_use_text(pull.at, pull.user, now)}  {time_text(pull.at) or ''}".rstrip()


def _platform_lines(image: PlatformImage, *, is_single: bool) -> Iterator[Line]:
    what = "Attestation" if image.about else image.platform or "Unknown platform"
    if image.artifact_type and not image.about:
        what = f"Artifact {image.artifact_type}"
    yield ((one_line(what), "bold"), f"  {size_text(image.size)}")
    config = image.config or Config()
    yield from _properties([
        ("digest", "" if is_single else image.digest),
        ("of", image.about),
        ("created", config.created),
        ("entrypoint", " ".join(config.entrypoint)),
        ("command", " ".join(config.command)),
        ("user", config.user),
        ("folder", config.folder),
        ("ports", " ".join(config.ports)),
        *(("environment", each) for each in config.environment),
        *((f"label {key}", value) for key, value in config.labels),
        *((f"annotation {key}", value) for key, value in image.annotations),
    ], "  ")  # fmt: skip
    if image.problem:
        yield (("  Not everything is known: ", "yellow"), f"{image.problem}.")
    if image.layers:
        yield ("  Layers, lowest first:",)
        yield from aligned(list(_layer_cells(image)), "    ")
    if config.history:
        yield ("  History, oldest first:",)
        yield from aligned([
            (size_text(step.size) if step.layer else "-", _shortened(step.command or step.comment))
            for step in config.history
        ], "    ")  # fmt: skip


def _layer_cells(image: PlatformImage) -> Iterator[tuple[Cell, ...]]:
    for layer in image.layers:
        state: Cell = (
            f"also in {count_text(layer.images - 1, 'other image')}" if layer.images > 1 else ""
        )
        if not layer.is_stored:
            state = "fetched from elsewhere" if layer.is_remote else ("missing", "red")
        yield (layer.digest, size_text(layer.size), one_line(layer.media_type), state)


def _referrer_lines(referrers: Sequence[Referrer]) -> Iterator[Line]:
    if not referrers:
        return
    yield ("",)
    yield (("Refers to this image", "bold"),)
    yield from aligned([
        (
            f"  {each.digest[:_SHORT]}",
            one_line(each.kind or "unknown type"),
            size_text(each.size),
            f"about {each.about[:_SHORT]}",
            one_line(" ".join(each.tags)) or "no tag",
        )
        for each in referrers
    ])  # fmt: skip


def _properties(pairs: Iterable[tuple[str, str]], indent: str = "") -> Iterator[Line]:
    rows = [(one_line(label), one_line(text)) for label, text in pairs if text]
    if rows:
        yield from aligned(rows, indent)


def _shortened(text: str) -> str:
    line = one_line(" ".join(text.split()))
    return line if len(line) <= _MOST_COMMAND else f"{line[: _MOST_COMMAND - 1]}…"


def image_as_json(read: ImagesRead, image: ImageDetails, use: ImageUse) -> dict[str, object]:
    """Return an image as JSON values; see :func:`image_lines`."""
    return {
        **_read_as_json(read),
        "repository": image.repository,
        "tag": image.tag or None,
        "digest": image.digest,
        "media_type": image.media_type or None,
        "tags": list(image.tags),
        "bytes": image.size,
        "own_bytes": image.own_size,
        "pushed_at": time_text(image.pushed),
        "pushed_by": pushed_by(use, image.pushed) or None,
        "pulled_at": time_text(use.pulled.at) if use.pulled else None,
        "pulled_by": use.pulled.user if use.pulled else None,
        "annotations": dict(image.annotations),
        "missing": list(image.missing),
        "problem": image.problem or None,
        "images": [_platform_as_json(each) for each in image.images],
        "referrers": [
            {
                "digest": each.digest,
                "about": each.about,
                "type": each.kind or None,
                "tags": list(each.tags),
                "bytes": each.size,
                "by": each.by,
            }
            for each in image.referrers
        ],
        "earlier": [
            {
                "digest": each.digest,
                "pushed_at": time_text(each.pushed),
                "is_stored": each.is_stored,
            }
            for each in image.earlier
        ],
    }


def _platform_as_json(image: PlatformImage) -> dict[str, object]:
    return {
        "digest": image.digest,
        "platform": image.platform or None,
        "media_type": image.media_type or None,
        "artifact_type": image.artifact_type or None,
        "about": image.about or None,
        "bytes": image.size,
        "annotations": dict(image.annotations),
        "problem": image.problem or None,
        "layers": [
            {
                "digest": each.digest,
                "bytes": each.size,
                "media_type": each.media_type,
                "is_stored": each.is_stored,
                "is_remote": each.is_remote,
                "images": each.images,
            }
            for each in image.layers
        ],
        "config": _config_as_json(image.config) if image.config is not None else None,
    }


def _config_as_json(config: Config) -> dict[str, object]:
    return {
        "created": config.created or None,
        "labels": dict(config.labels),
        "environment": list(config.environment),
        "entrypoint": list(config.entrypoint),
        "command": list(config.command),
        "user": config.user or None,
        "working_dir": config.folder or None,
        "ports": list(config.ports),
        "history": [
            {
                "created": each.created or None,
                "command": each.command,
                "comment": each.comment or None,
                "layer": each.layer or None,
                "bytes": each.size,
            }
            for each in config.history
        ],
    }


def time_text(moment: float | None) -> str | None:
    """Return a time as ISO 8601 in UTC; None if it is not known. Files can have absurd times."""
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None
