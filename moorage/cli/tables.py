"""Columns of text that line up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moorage.cli.session import Piece
from moorage.rows import Level, Row

Cell = Piece
STYLES = {
    Level.GOOD: "green",
    Level.INFO: "",
    Level.PENDING: "yellow",
    Level.WARNING: "yellow",
    Level.BAD: "red",
}
"""The style of each level."""


def row_lines(rows: Sequence[Row], indent: str = "") -> Iterator[tuple[Piece, ...]]:
    """Yield the properties of one subject: their labels, then what they are.

    Args:
        rows: The properties.
        indent: What every line begins with.
    """
    yield from lined_up([(row.label, row.text) for row in rows], indent)


def row_line(row: Row) -> tuple[Piece, ...]:
    """Return one of several subjects: its sign, its name and what there is to say about it."""
    return ((f"{row.sign} ", STYLES[row.level]), (row.label, "bold"), f"  {row.text}")


def lined_up(rows: Sequence[Sequence[Cell]], indent: str = "") -> Iterator[tuple[Piece, ...]]:
    """Yield rows as lines with cells padded to their column's width.

    Args:
        rows: The rows, all with the same number of cells.
        indent: What every line begins with.
    """
    widths = [max(len(_plain(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        pieces: list[Piece] = [indent]
        for position, (cell, width) in enumerate(zip(row, widths, strict=True)):
            is_last = position == len(row) - 1
            text = _plain(cell) if is_last else f"{_plain(cell):<{width}}  "
            pieces.append(text if isinstance(cell, str) else (text, cell[1]))
        yield tuple(pieces)


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]
