"""The texts about one image: its platforms, layers, history, labels and referrers. No I/O."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from textual.content import Content

from moorage.escape import one_line
from moorage.images.details import Config, ImageDetails, Layer, PlatformImage
from moorage.images.usage import TagUsage
from moorage.units import age_text, size_text
from screens.images.texts import SHORT_DIGEST, count, uses

_MOST_ROWS = 300
"""Rows of a section; ordinary images have far fewer."""
_MOST_TEXT = 500
"""Characters of a command or a label."""
_BAR = 12
_WIDE_BAR = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def name_of(image: PlatformImage) -> str:
    """Return a platform, or what else it is.

    Args:
        image: One image of an index, or a single one.
    """
    if image.about:
        return "attestation"
    return one_line(image.platform or image.artifact_type) or "unknown platform"


def head(details: ImageDetails, tag: TagUsage) -> Content:
    """Return what an image is, in a few lines.

    Args:
        details: The image.
        tag: The tag it was opened by.
    """
    name = f"{details.repository}:{details.tag}" if details.tag else details.repository
    sizes = size_text(details.size)
    if details.own_size is not None:
        sizes += f", {size_text(details.own_size)} own"
    parts = [sizes, *map(one_line, uses(tag))]
    others = [tag for tag in details.tags if tag != details.tag]
    if others:
        shown = ", ".join(others[:5])
        more = f" and {len(others) - 5:,} more" if len(others) > 5 else ""
        parts.append(f"also {one_line(shown)}{more}")
    lines = [
        Content.styled(one_line(name), "bold"),
        Content.styled(details.digest, "$text-muted"),
        Content.styled(" · ".join(parts), "$text-muted"),
    ]
    if details.problem:
        lines.append(Content.styled(f"! Cannot be read: {one_line(details.problem)}.",
                                    "$text-warning"))  # fmt: skip
    if details.missing:
        blobs = count(len(details.missing), "blob")
        verb = "is" if len(details.missing) == 1 else "are"
        text = f"✗ {blobs} {verb} missing. Pulls fail; push the tag again."
        lines.append(Content.styled(text, "$text-error"))
    return Content("\n").join(lines)


def platforms(images: Sequence[PlatformImage], selected: int) -> Content:
    """Return the platforms on a line, the selected one marked.

    Args:
        images: The images.
        selected: The place of the selected one.
    """
    return Content("  ").join(
        Content.styled(f"▸{name_of(each)}◂", "$text-accent bold")
        if place == selected
        else Content.styled(f" {name_of(each)} ", "$text-muted")
        for place, each in enumerate(images)
    )


def body(details: ImageDetails, image: PlatformImage | None, width: int) -> Content:
    """Return everything about a platform's image, and what refers to the whole.

    Args:
        details: The image.
        image: The selected platform's; None if it has none.
        width: The number of columns.
    """
    sections = [*_sections(details, image, width)]
    return Content("\n\n").join(sections)


def _sections(details: ImageDetails, image: PlatformImage | None, width: int) -> Iterator[Content]:
    if image is not None:
        if image.digest != details.digest:
            yield Content.styled(image.digest, "$text-muted")
        if image.problem:
            yield Content.styled(
                f"! Not everything is known: {one_line(image.problem)}.", "$text-warning"
            )
        if image.layers:
            yield _section(f"Layers, {size_text(image.size)}", _layers(image.layers, width))
        config = image.config or Config()
        if config.history:
            yield _section("History", _history(config))
        if config.labels:
            yield _section("Labels", _pairs(config.labels))
        yield _section("Configuration", _pairs(_properties(image, config)))
        annotations = image.annotations or details.annotations
        if annotations:
            yield _section("Annotations", _pairs(annotations))
    if details.referrers:
        yield _section("Refers to this image", _referrers(details))
    if details.earlier:
        yield _section(f"Earlier images of {one_line(details.tag)}", _earlier(details))


def _section(title: str, rows: Iterable[Content]) -> Content:
    shown = list(rows)
    if len(shown) > _MOST_ROWS:
        more = Content.styled(f"  … and {len(shown) - _MOST_ROWS:,} more", "$text-muted")
        shown = [*shown[:_MOST_ROWS], more]
    return Content("\n").join([Content.styled(title, "bold $text-accent"), *shown])


def _layers(layers: Sequence[Layer], width: int) -> Iterator[Content]:
    largest = max(layer.size for layer in layers)
    room = _WIDE_BAR if width >= 100 else _BAR
    for layer in layers:
        notes, colour = "", "$text-muted"
        if not layer.is_stored:
            notes = "  fetched from elsewhere" if layer.is_remote else "  ✗ missing"
            colour = "$text-muted" if layer.is_remote else "$text-error"
        elif layer.images > 1:
            notes = f"  in {count(layer.images, 'image')}"
        yield (
            Content.styled(f"  {bar(layer.size, largest, room)}", "$accent")
            + Content(f"  {size_text(layer.size):>8}")
            + Content.styled(f"  {one_line(layer.digest[:SHORT_DIGEST])}", "$text-muted")
            + Content.styled(notes, colour)
        )


def bar(size: int, largest: int, width: int) -> str:
    """Return a bar that fills the width for the largest size; anything above 0 is visible.

    Args:
        size: Bytes.
        largest: The largest size.
        width: The number of columns.
    """
    eighths = round(8 * width * size / largest) if largest else 0
    if size:
        eighths = max(1, eighths)
    whole, part = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[part] if part else "")).ljust(width)


def _history(config: Config) -> Iterator[Content]:
    for step in config.history:
        size = size_text(step.size) if step.layer else "-"
        text = _cut(" ".join((step.command or step.comment).split()))
        yield Content.styled(f"  {size:>8}", "$text-muted") + Content(f"  {text}")


def _properties(image: PlatformImage, config: Config) -> Iterator[tuple[str, str]]:
    if image.about:
        yield "about", image.about
    if config.created:
        yield "created", config.created
    if config.entrypoint:
        yield "entrypoint", " ".join(config.entrypoint)
    if config.command:
        yield "command", " ".join(config.command)
    if config.user:
        yield "user", config.user
    if config.folder:
        yield "folder", config.folder
    if config.ports:
        yield "ports", " ".join(config.ports)
    for each in config.environment:
        yield "environment", each
    yield "type", image.media_type


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[Content]:
    shown = [(_cut(label), _cut(text)) for label, text in pairs]
    width = min(40, max(cell_len(label) for label, _ in shown))
    for label, text in shown:
        space = " " * max(0, width - cell_len(label))
        yield Content.styled(f"  {label}{space}", "$text-muted") + Content(f"  {text}")


def _referrers(details: ImageDetails) -> Iterator[Content]:
    for each in details.referrers:
        about = "" if each.about == details.digest else f"  about {each.about[:SHORT_DIGEST]}"
        tags = f"  {' '.join(each.tags)}" if each.tags else ""
        yield Content(f"  {one_line(each.kind or 'unknown type')}") + Content.styled(
            f"  {size_text(each.size)}  {each.digest[:SHORT_DIGEST]}{one_line(tags + about)}",
            "$text-muted",
        )


def _earlier(details: ImageDetails) -> Iterator[Content]:
    now = time.time()
    for each in details.earlier:
        gone = "" if each.is_stored else "  gone"
        yield Content(f"  {each.digest[:SHORT_DIGEST]}") + Content.styled(
            f"  pushed {age_text(each.pushed, now)}{gone}", "$text-muted"
        )


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _MOST_TEXT else f"{line[: _MOST_TEXT - 1]}…"
