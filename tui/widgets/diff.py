"""Line differences with numbers, changed words and folds. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

CONTEXT = 3
"""Unchanged lines shown before and after a change."""
_WORD = re.compile(r"\w+|\s+|.")
_ALIKE = 0.4
"""The similarity, 0 to 1, from which two lines count as one that changed."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Line:
    """A line of a difference.

    Attributes:
        kind: Whether it is unchanged, added or removed.
        before: Its number in the old file, from 1; None if added.
        after: Its number in the new file, from 1; None if removed.
        text: The line.
        words: The ranges of characters that differ from its counterpart.
    """

    kind: Literal["same", "add", "remove"]
    before: int | None
    after: int | None
    text: str
    words: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Fold:
    """Unchanged lines that are not shown.

    Attributes:
        count: Their number.
    """

    count: int


Row = Line | Fold
Pair = tuple[Row | None, Row | None]


def compare(before: str, after: str) -> list[Line]:
    """Return all lines of both texts in the order of a unified difference.

    Args:
        before: The old file; empty if there is none.
        after: The new file; empty if there is none.
    """
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_begin, old_end, new_begin, new_end in matcher.get_opcodes():
        if kind == "equal":
            pairs = zip(range(old_begin, old_end), range(new_begin, new_end), strict=True)
            lines += [Line("same", i + 1, j + 1, new[j]) for i, j in pairs]
            continue
        gone, come = old[old_begin:old_end], new[new_begin:new_end]
        marks_gone, marks_come = _changed_words(gone, come)
        lines += [
            Line("remove", old_begin + i + 1, None, text, marks_gone.get(i, ()))
            for i, text in enumerate(gone)
        ]
        lines += [
            Line("add", None, new_begin + j + 1, text, marks_come.get(j, ()))
            for j, text in enumerate(come)
        ]
    return lines


def _changed_words(
    gone: Sequence[str], come: Sequence[str]
) -> tuple[dict[int, tuple[Span, ...]], dict[int, tuple[Span, ...]]]:
    """Pair similar lines, in order, and return the ranges in which they differ."""
    marks_gone: dict[int, tuple[Span, ...]] = {}
    marks_come: dict[int, tuple[Span, ...]] = {}
    begin = 0
    for i, old in enumerate(gone):
        for j in range(begin, min(len(come), begin + 20)):
            old_words, new_words = _WORD.findall(old), _WORD.findall(come[j])
            matcher = difflib.SequenceMatcher(None, old_words, new_words, autojunk=False)
            if matcher.ratio() < _ALIKE:
                continue
            codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
            marks_gone[i] = _spans(old_words, [(code[1], code[2]) for code in codes])
            marks_come[j] = _spans(new_words, [(code[3], code[4]) for code in codes])
            begin = j + 1
            break
    return marks_gone, marks_come


def _spans(words: Sequence[str], ranges: Sequence[Span]) -> tuple[Span, ...]:
    places = [0]
    for word in words:
        places.append(places[-1] + len(word))
    return tuple((places[begin], places[end]) for begin, end in ranges if end > begin)


def fold(lines: Sequence[Line], context: int = CONTEXT) -> list[Row]:
    """Replace unchanged lines far from every change by their number.

    Args:
        lines: The result of :func:`compare`.
        context: Unchanged lines to keep beside a change.
    """
    near = set()
    for place, line in enumerate(lines):
        if line.kind != "same":
            near |= set(range(place - context, place + context + 1))
    rows: list[Row] = []
    hidden: list[Line] = []
    for place, line in enumerate(lines):
        if place in near:
            rows += _hidden(hidden)
            hidden = []
            rows.append(line)
        else:
            hidden.append(line)
    return rows + _hidden(hidden)


def _hidden(lines: list[Line]) -> list[Row]:
    # A fold takes up a line itself.
    return [Fold(len(lines))] if len(lines) > 1 else list(lines)


def side_by_side(rows: Sequence[Row]) -> list[Pair]:
    """Return the rows of a unified difference as pairs of old and new."""
    pairs: list[Pair] = []
    gone: list[Row] = []
    come: list[Row] = []

    def settle() -> None:
        for i in range(max(len(gone), len(come))):
            pairs.append((gone[i] if i < len(gone) else None, come[i] if i < len(come) else None))
        gone.clear()
        come.clear()

    for row in rows:
        if isinstance(row, Line) and row.kind == "remove":
            gone.append(row)
        elif isinstance(row, Line) and row.kind == "add":
            come.append(row)
        else:
            settle()
            pairs.append((row, row))
    settle()
    return pairs


def changes(rows: Sequence[Row] | Sequence[Pair]) -> list[int]:
    """Return the indexes of the rows or pairs at which a change begins."""
    return list(_beginnings(rows))


def _beginnings(rows: Sequence[Row] | Sequence[Pair]) -> Iterator[int]:
    was_change = False
    for place, row in enumerate(rows):
        halves = row if isinstance(row, tuple) else (row,)
        is_change = any(
            half is None or (isinstance(half, Line) and half.kind != "same") for half in halves
        )
        if is_change and not was_change:
            yield place
        was_change = is_change
