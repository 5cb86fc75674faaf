"""Columns of text that line up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moorage.cli.session import Piece

Cell = Piece


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
