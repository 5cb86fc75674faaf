"""Print rows in aligned columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moorage.cli.output import Piece
from moorage.rows import Action, Level, Row

Cell = Piece
_WIDE = 40
"""Characters up to which a column is as wide as its longest cell."""
STYLES = {
    Level.GOOD: "green",
    Level.INFO: "",
    Level.PENDING: "yellow",
    Level.WARNING: "yellow",
    Level.BAD: "red",
    Level.SKIPPED: "dim",
}
"""The style of each level."""

ACTION_STYLES = {
    Action.ADD: "green",
    Action.CHANGE: "yellow",
    Action.REMOVE: "red",
    Action.RUN: "cyan",
}
"""The style of each action."""


def signed(row: Row) -> tuple[Piece, ...]:
    """Return a row's sign, label and text as cells."""
    return (row.sign, STYLES[row.level]), row.label, row.text


def row_lines(rows: Sequence[Row], indent: str = "") -> Iterator[tuple[Piece, ...]]:
    """Yield the properties of one subject, label and text.

    Args:
        rows: The properties.
        indent: The prefix of each line.
    """
    yield from aligned([(row.label, row.text) for row in rows], indent)


def row_line(row: Row) -> tuple[Piece, ...]:
    """Return one of several subjects as a line: sign, label and text."""
    return ((f"{row.sign} ", STYLES[row.level]), (row.label, "bold"), f"  {row.text}")


def aligned(rows: Sequence[Sequence[Cell]], indent: str = "") -> Iterator[tuple[Piece, ...]]:
    """Yield rows as lines, each cell padded to the width of its column.

    A cell that is much longer than the others of its column shifts the rest of its own row only. No
    line ends with spaces.

    Args:
        rows: The rows, all with the same number of cells.
        indent: The prefix of each line.
    """
    widths = [_width([len(_plain(cell)) for cell in column]) for column in zip(*rows, strict=True)]
    for row in rows:
        pieces: list[Piece] = [indent]
        last = max((at for at, cell in enumerate(row) if _plain(cell)), default=0)
        for position, (cell, width) in enumerate(zip(row[: last + 1], widths, strict=False)):
            text = _plain(cell) if position == last else f"{_plain(cell):<{width}}  "
            pieces.append(text if isinstance(cell, str) else (text, cell[1]))
        yield tuple(pieces)


def _width(lengths: Sequence[int]) -> int:
    """Return the width of a column: that of its longest cell, but for a few that are far longer."""
    usual = sorted(lengths)[(len(lengths) - 1) // 2]
    limit = max(_WIDE, 2 * usual)
    return max(length for length in lengths if length <= limit)


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]
