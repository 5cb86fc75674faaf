"""WCAG 2 contrast of colours, and texts on a screen with too little of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.command import CommandPalette
from textual.geometry import Region
from textual.screen import ModalScreen

Colour = tuple[int, int, int]
Drawn = tuple[str, Style]
LEAST = 4.5
"""The minimum for text in WCAG 2, level AA."""


def luminance(colour: Colour) -> float:
    """Return the relative luminance of a colour, 0 to 1."""
    parts = [
        value / 255 / 12.92 if value / 255 <= 0.03928 else ((value / 255 + 0.055) / 1.055) ** 2.4
        for value in colour
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, 1 to 21."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def colours_of(style: Style, system: ColorSystem = ColorSystem.TRUECOLOR) -> tuple[Colour, Colour]:
    """Return a style's text and background colour on a terminal with that many colours."""
    assert style.color is not None
    assert style.bgcolor is not None
    text, ground = (
        tuple(each.downgrade(system).get_truecolor()) for each in (style.color, style.bgcolor)
    )
    return (ground, text) if style.reverse else (text, ground)  # type: ignore[return-value]


def low_contrast_texts(
    drawn: Iterable[Drawn], system: ColorSystem = ColorSystem.TRUECOLOR, least: float = LEAST
) -> list[str]:
    """Return the texts with too little contrast, and their colours."""
    found = []
    for text, style in drawn:
        if not any(character.isalnum() for character in text):
            continue
        front, ground = colours_of(style, system)
        if (ratio := contrast(front, ground)) < least:
            found.append(f"{text.strip()!r}: {ratio:.2f}, {front} on {ground}")
    return found


def invisible_lines(
    drawn: Iterable[Drawn], system: ColorSystem = ColorSystem.TRUECOLOR
) -> list[str]:
    """Return the lines that are drawn in their background colour."""
    return [
        f"{text!r} is as its ground"
        for text, style in drawn
        if any(character in "─│╭╮╰╯━" for character in text)
        and len(set(colours_of(style, system))) == 1
    ]


def drawn_on(app: App[object]) -> list[Drawn]:
    """Return the texts on the screen, except what is behind a dialog; renders the screen."""
    regions = _in_front(app)
    return [
        (segment.text, segment.style)
        for y, strip in enumerate(app.screen._compositor.render_strips())
        for x, segment in _placed(strip)
        if segment.style and any(each.contains(x, y) for each in regions)
    ]


def _placed(strip: Iterable[Segment]) -> Iterator[tuple[int, Segment]]:
    x = 0
    for segment in strip:
        yield x, segment
        x += segment.cell_length


def _in_front(app: App[object]) -> list[Region]:
    """Return the widgets that no dialog covers."""
    if isinstance(app.screen, CommandPalette):
        return [each.region for each in app.screen.query("CommandInput, CommandList")]
    boxes = [each.region for each in app.screen.query(".dialog--box")]
    return boxes if isinstance(app.screen, ModalScreen) and boxes else [Region(0, 0, *app.size)]
