"""Cut texts to a width in cells. Does not import Textual."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def cut_end(text: str, width: int) -> str:
    """Return a text cut at its end, with an ellipsis, to a width in cells.

    Args:
        text: The text.
        width: The width, at least 1.
    """
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"


def cut_middle(text: str, width: int) -> str:
    """Return a name cut in its middle, with an ellipsis, to a width in cells.

    Its end tells it from others: the last part of a path stays whole if it fits.

    Args:
        text: The name.
        width: The width, at least 1.
    """
    if cell_len(text) <= width:
        return text
    room = width - 1
    end = text[max(text.rfind("/"), 0) :]
    if cell_len(end) > room:
        end = _last_cells(text, (room + 1) // 2)
    return f"{set_cell_size(text, room - cell_len(end))}…{end}"


def _last_cells(text: str, width: int) -> str:
    """Return as much of the end of a text as fits."""
    begin = len(text)
    while begin and (width := width - cell_len(text[begin - 1])) >= 0:
        begin -= 1
    return text[begin:]
