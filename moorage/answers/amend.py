"""Change an answers file, and leave the rest of it as the operator wrote it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from moorage.answers import document as yaml_document
from moorage.answers.load import loads
from moorage.answers.model import Answers
from moorage.answers.save import HEADER, dump
from moorage.errors import AnswersError, MoorageError

Path = tuple[str | int, ...]
_COMMENTED = r"""(?:[^'"#]|"[^"\\]*"|'[^']*')*?([ \t]+#.*\n)"""
"""A line that ends with a comment."""
LOST_COMMENTS = "Some comments in the parts that changed were lost."
_DEPTH = 8
"""Levels of sections in which comments are kept."""


def amend(text: str, answers: Answers) -> str:
    """Return an answers file with other answers.

    Comments and order are kept outside the values that change. If that is not possible (the file
    has mistakes), the whole file is written anew. JSON stays JSON.

    Args:
        text: The file.
        answers: The new answers.
    """
    anew = dump(answers)
    same = with_base(text, answers.based_on) if answers.based_on is not None else None
    if same is not None and loads(same) == loads(anew):
        return same
    if _is_json(text):
        return json.dumps(yaml_document.read(anew).value, indent=2, ensure_ascii=False) + "\n"
    for depth in (_DEPTH, 1):
        with contextlib.suppress(AnswersError, StopIteration):
            candidate = _with_changes_of(text, anew, answers, depth=depth)
            # Compared as files: in a file, a typed secret is a prompt.
            if loads(candidate) == loads(anew):
                return candidate
    return anew


def with_base(text: str, revision: int | None) -> str | None:
    """Return an answers file with another ``based_on``, or without one, and nothing else changed.

    Args:
        text: The file, as YAML or JSON.
        revision: The revision it is based on; None if it is no longer based on one.

    Returns:
        The file; None if the value cannot be written without touching the rest.
    """
    if revision is None:
        candidate = re.sub(r"(?m)^based_on:.*\n?", "", text)
    else:
        line = f"based_on: {revision}"
        candidate, found = re.subn(r"(?m)^based_on:[^\n#]*?([ \t]*(?:#.*)?)$", rf"{line}\1", text)
        if not found:
            candidate = (text if text.endswith("\n") else f"{text}\n") + f"{line}\n"
    candidates = [candidate]
    with contextlib.suppress(ValueError):
        parsed = {**json.loads(text), "based_on": revision}
        if revision is None:
            del parsed["based_on"]
        candidates = [json.dumps(parsed, indent=2, ensure_ascii=False) + "\n"]
    for each in candidates:
        with contextlib.suppress(MoorageError):
            if loads(each) == loads(text).model_copy(update={"based_on": revision}):
                return each
    return None


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def lost_comments(before: str, after: str) -> bool:
    """Return whether the first text has comment lines that the second does not have."""
    return bool(_comments(before) - _comments(after) - _comments(HEADER))


def _comments(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip().startswith("#")}


@dataclass(frozen=True)
class _File:
    """An answers file with the position of each key."""

    lines: list[str]
    document: yaml_document.Document

    @classmethod
    def read(cls, text: str) -> _File:
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        return cls(lines, yaml_document.read(text))

    def keys(self, path: Path) -> list[tuple[int, int, str]]:
        """Return line, column and name of the keys of a mapping; none if it is in braces."""
        found = sorted(
            (mark.line, mark.column, each[-1])
            for each, mark in self.document.keys.items()
            if each[:-1] == path and isinstance(each[-1], str)
        )
        # An item's first key is on the line of the item.
        own = self.document.keys[path].line if path and isinstance(path[-1], str) else 0
        lines = {line for line, _, _ in found}
        is_block = len(lines) == len(found) and own not in lines
        return found if is_block and len({column for _, column, _ in found}) <= 1 else []

    def items(self, path: Path) -> list[int]:
        """Return the lines of the items of a list; none if it is in brackets."""
        places = sorted(
            (each[-1], mark.line)
            for each, mark in self.document.keys.items()
            if each[:-1] == path and isinstance(each[-1], int)
        )
        lines = [line for _, line in places]
        is_block = len({*lines}) == len(lines) and self.document.keys[path].line not in lines
        return lines if is_block else []


def _with_changes_of(text: str, anew: str, answers: Answers, *, depth: int) -> str:
    """Replace changed values, drop removed ones, and add new ones at the end of their section.

    Args:
        text: The file.
        anew: The new answers as a file.
        answers: The new answers.
        depth: How many levels of sections to look into.

    Raises:
        AnswersError: The file has mistakes.
    """
    old = yaml_document.read(dump(loads(text))).value
    file, new = _File.read(text), _File.read(anew)
    if not file.keys(()):
        return "".join(file.lines) + "".join(new.lines)
    place = (1, len(file.lines) + 1)
    amended = _Amended(file, new, answers.model_dump(mode="json"), depth)
    written = amended.mapping((), place, (old, new.document.value))
    return "".join(written)


@dataclass(frozen=True)
class _Amended:
    """A file and the new answers as one, which are merged line by line.

    Attributes:
        file: The file.
        new: The new answers as a file, without defaults.
        values: The new answers, with defaults.
        depth: How many levels of sections to look into.
    """

    file: _File
    new: _File
    values: Mapping[str, Any]
    depth: int

    def mapping(
        self,
        path: Path,
        place: tuple[int, int],
        values: tuple[Mapping[str, Any], Mapping[str, Any]],
    ) -> list[str]:
        """Return the lines of a mapping with its new values.

        Args:
            path: The mapping's path.
            place: Its first line, and the line after its last.
            values: Its value in both, as written without defaults.
        """
        before, after = values
        keys = self.file.keys(path)
        written = self.file.lines[place[0] - 1 : keys[0][0] - 1]
        column = keys[0][1]
        for (line, _, key), (following, _, _) in zip(
            keys, [*keys[1:], (place[1], 0, "")], strict=True
        ):
            body = self.file.lines[line - 1 : following - 1]
            if before.get(key) == after.get(key):
                written += body
                continue
            length = _length(body)
            inner, pair = (*path, key), (before.get(key), after.get(key))
            if key not in after:
                written += _with_comment(body[:length], self._default(inner, column))
            else:
                written += self._inside(inner, line, length, pair) or _with_comment(
                    body[:length],
                    _in_flow(body[:length], column, key, pair[1])
                    or _lines_of(self.new, inner, column),
                )
            written += body[length:]
        present = {key for _, _, key in keys}
        for key, value in after.items():
            if key not in present and value != before.get(key):
                written += _lines_of(self.new, (*path, key), column)
        return written

    def _inside(self, path: Path, line: int, length: int, pair: tuple[Any, Any]) -> list[str]:
        """Return the lines of a changed value with only its changes; none if it is to be replaced.

        Args:
            path: The value's path.
            line: The line of its key.
            length: The number of its lines.
            pair: The value in both.
        """
        place = (line, line + length)
        if len(path) >= self.depth:
            return []
        if all(isinstance(each, dict) for each in pair) and self.file.keys(path):
            return self.mapping(path, place, pair)
        if all(isinstance(each, list) for each in pair):
            return self._sequence(path, place, pair)
        return []

    def _sequence(
        self, path: Path, place: tuple[int, int], values: tuple[list[Any], list[Any]]
    ) -> list[str]:
        """Return the lines of a list, likewise; an item goes with the comment directly above it."""
        before, after = values
        starts, stay = self.file.items(path), _same_items(before, after)
        if not starts or len(starts) != len(before) or stay is None:
            return []
        written: list[str] = []
        done, number = place[0], 0
        for old, (line, following) in enumerate(zip(starts, [*starts[1:], place[1]], strict=True)):
            head = _first_comment(self.file.lines, line)
            end = line + _length(self.file.lines[line - 1 : following - 1])
            written += self.file.lines[done - 1 : head - 1]
            done = end
            if old not in stay:
                continue
            written += self._new_items(path, after, range(number, stay[old]), line)
            written += self.file.lines[head - 1 : line - 1]
            pair = (before[old], after[stay[old]])
            written += self._item((*path, old), (line, end), pair) or self._new_items(
                path, after, [stay[old]], line
            )
            number = stay[old] + 1
        return [*written, *self._new_items(path, after, range(number, len(after)), starts[-1])]

    def _item(self, path: Path, place: tuple[int, int], pair: tuple[Any, Any]) -> list[str]:
        """Return the lines of an item with only its changes; none if it is to be replaced."""
        before, after = pair
        body = self.file.lines[place[0] - 1 : place[1] - 1]
        if before == after:
            return body
        is_in_braces = body[0].lstrip().startswith("- {")
        keys = [] if is_in_braces else self.file.keys(path)
        if keys and before.get(keys[0][2]) == after.get(keys[0][2]):
            return self.mapping(path, place, pair)
        if is_in_braces and len(body) == 1 and isinstance(after, dict):
            return _with_comment(body, [f"{_indent(body[0])}- {_flow(after)}\n"])
        return []

    def _new_items(
        self, path: Path, values: Sequence[Any], numbers: Iterable[int], like: int
    ) -> list[str]:
        """Return the lines of new items, in the style of the item on a line."""
        item = self.file.lines[like - 1]
        written: list[str] = []
        for number in numbers:
            if item.lstrip().startswith("- {"):
                written.append(f"{_indent(item)}- {_flow(values[number])}\n")
                continue
            start = self.new.items(path)[number]
            was = len(_indent(self.new.lines[start - 1])) + 1
            end = start
            while end < len(self.new.lines) and len(_indent(self.new.lines[end])) >= was:
                end += 1
            lines = self.new.lines[start - 1 : end]
            written += [_indent(item) + line[was - 1 :] for line in lines]
        return written

    def _default(self, path: Path, column: int) -> list[str]:
        """Return the line of a value that is the default now; none for sections and lists."""
        value: Any = self.values
        for part in path:
            if isinstance(part, int):
                value = value[part]
            else:
                value = value.get(part) if isinstance(value, Mapping) else None
        if not isinstance(value, str | int | float):
            return []
        return [" " * (column - 1) + yaml.safe_dump({path[-1]: value}, width=4096)]


def _same_items(before: Sequence[Any], after: Sequence[Any]) -> dict[int, int] | None:
    """Return the items that stay in a list, as numbers in both; None if their order changes."""
    names = [_name(each) for each in before], [_name(each) for each in after]
    if any(None in each or len({*each}) != len(each) for each in names):
        return dict(enumerate(range(len(after)))) if len(before) == len(after) else None
    found = {old: names[1].index(name) for old, name in enumerate(names[0]) if name in names[1]}
    return found if [*found.values()] == sorted(found.values()) else None


def _name(item: object) -> object:
    """Return what an item of a list is known by, such as a user's name; None without one."""
    if isinstance(item, dict):
        return item.get("name", item.get("host"))
    return item if isinstance(item, str | int) else None


def _first_comment(lines: Sequence[str], line: int) -> int:
    """Return the first line of the comment directly above a line; that line without one."""
    while line > 1 and lines[line - 2].strip().startswith("#"):
        line -= 1
    return line


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))]


def _length(body: Sequence[str]) -> int:
    """Return the number of a value's lines.

    Comments and empty lines directly before the next key or item belong to that.
    """
    length = len(body)
    while length > 1 and (not (last := body[length - 1].strip()) or last.startswith("#")):
        length -= 1
    return length


def _flow(value: object) -> str:
    return yaml.safe_dump(
        value, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False
    ).strip()


def _in_flow(before: Sequence[str], column: int, key: str, value: object) -> list[str]:
    """Return a value in braces or brackets, if the old one is on one line; otherwise none."""
    _, _, old = before[0].partition(":")
    if len(before) != 1 or not value or not isinstance(value, dict | list):
        return []
    if not old.lstrip().startswith(("{", "[")):
        return []
    return [" " * (column - 1) + f"{_flow({key: value})[1:-1]}\n"]


def _with_comment(before: list[str], after: list[str]) -> list[str]:
    """Return the new line of a value with the comment that the old one ends with."""
    found = re.fullmatch(_COMMENTED, before[0])
    if found is None or len(before) != 1 or len(after) != 1:
        return after
    return [after[0].rstrip("\n") + found[1]]


def _lines_of(new: _File, path: Path, column: int) -> list[str]:
    """Return the lines of one key, indented to a column."""
    keys = new.keys(path[:-1])
    start, was, _ = next(each for each in keys if each[2] == path[-1])
    end = start
    while end < len(new.lines) and _belongs(new.lines[end], was):
        end += 1
    return [" " * (column - 1) + line[was - 1 :] for line in new.lines[start - 1 : end]]


def _belongs(line: str, column: int) -> bool:
    """Whether a line belongs to a key above it: it is further to the right, or an item."""
    indent = len(line) - len(line.lstrip(" "))
    return indent >= column or line[column - 1 :].startswith("-")
