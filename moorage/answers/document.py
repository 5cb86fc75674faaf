"""Read YAML into plain values, with the position of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from moorage.errors import Problem

Path = tuple[str | int, ...]

LARGEST_FILE = 8 * 1024 * 1024
"""Bytes: room for tens of thousands of users."""
_MOST_REPEATED = 20_000
TOO_LARGE = (
    "is larger than 8 MB. Thousands of users need not be listed here: import them with 'moorage "
    "users import', and the servers store them"
)
_DEEPEST = 40
_LONGEST_NUMBER = 100

# The C parser is ten times as fast; PyYAML's wheels have it, some distributions' packages do not.
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?(0|0b[01]+|0x[0-9a-f]+|0o?[0-7]+|[1-9][0-9]*)", re.I)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Mark:
    """A position in a file: line and column, from 1."""

    line: int
    column: int


@dataclass
class Document:
    """The content of a file.

    Attributes:
        value: The value at the top; None when the file cannot be read as YAML.
        problems: The YAML errors in the file.
        keys: The position of each path's key; for a list's items, of the item.
        values: The position at which the value of each path begins.
        booleans: By path, the text of values written as ``yes``, ``no``, ``on``, ``off`` and so on.
        file: The file's name for messages, or None.
    """

    value: Any = None
    problems: list[Problem] = field(default_factory=list)
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    booleans: dict[Path, str] = field(default_factory=dict)
    file: str | None = None

    def problem(
        self,
        path: Path,
        message: str,
        *,
        code: str = "invalid",
        fields: Sequence[str] = (),
        at_key: bool = False,
    ) -> Problem:
        """Return a problem with its position.

        Args:
            path: The path it is about; if the file does not have it, the nearest parent is shown.
            message: What is wrong and what would be right.
            code: A stable identifier.
            fields: Other fields that the message is about, as dotted paths.
            at_key: Whether it is about the key rather than the value.
        """
        mark = self.keys.get(path) if at_key else self.values.get(path)
        above = path
        while mark is None and above:
            above = above[:-1]
            mark = self.keys.get(above) or self.values.get(above)
        return self._at(mark, path, message, code, fields)

    def _at(
        self,
        mark: Mark | None,
        path: Path,
        message: str,
        code: str = "invalid",
        fields: Sequence[str] = (),
    ) -> Problem:
        return Problem(
            path,
            message,
            code=code,
            fields=fields,
            file=self.file,
            line=mark.line if mark else None,
            column=mark.column if mark else None,
        )


class _TooManyAliases(Exception):  # internal, becomes a problem
    """The document's aliases repeat too many values."""


class _SelfReference(Exception):  # likewise
    """A value contains itself through an alias.

    Args:
        path: The path of the alias.
        mark: The position of the value.
    """

    def __init__(self, path: Path, mark: Mark) -> None:
        super().__init__()
        self.path = path
        self.mark = mark


def read(text: str, file: str | None = None) -> Document:
    """Read YAML text. Raises nothing: errors are in the document's problems.

    Args:
        text: The text.
        file: The file's name for messages.
    """
    document = Document(file=file)
    if len(text) > LARGEST_FILE:
        _refuse(document, None, TOO_LARGE)
        return document
    mark, message = _unreadable_character(text)
    if message:
        _refuse(document, mark, message)
        return document
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        _refuse(document, *_explain(error, text))
        return document
    except RecursionError:
        _refuse(document, None, f"is nested more than {_DEEPEST} levels deep")
        return document
    finally:
        loader.dispose()
    if node is None:
        _refuse(document, None, "is empty; see docs/answers.md for a minimal answers file")
        return document
    reader = _Reader(document)
    try:
        document.value = reader.value(node, ())
    except _TooManyAliases:
        _refuse(document, None, f"repeats more than {_MOST_REPEATED} values through aliases (*)")
        document.value = None
    except _SelfReference as error:
        message = "contains itself through an alias (*); write the value out instead"
        document.problems.append(document._at(error.mark, error.path, message))
        document.value = None
    return document


def decode(content: bytes, file: str | None = None) -> tuple[str, list[Problem]]:
    """Return a file's text, or the problem with its encoding.

    Args:
        content: The file.
        file: Its name for messages.
    """
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        message = "is not valid UTF-8 from here on; save the file as UTF-8"
        return "", [Problem((), message, file=file, line=line, column=column)]


class _Reader:
    """Converts YAML nodes to plain values: text, numbers, booleans, null, lists and mappings."""

    def __init__(self, document: Document) -> None:
        self._document = document
        # The file's size limits what it spells out, but not what aliases make of that.
        self._seen: set[int] = set()
        self._repeated = 0
        self._around: list[Any] = []

    def value(self, node: Any, path: Path) -> Any:
        if any(node is each for each in self._around):
            raise _SelfReference(path, _mark(node))
        self._around.append(node)
        value = self._value(node, path)
        self._around.pop()
        return value

    def _value(self, node: Any, path: Path) -> Any:
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if self._repeated > _MOST_REPEATED:
            raise _TooManyAliases
        mark = _mark(node)
        self._document.values[path] = mark
        if path and isinstance(path[-1], int):
            self._document.keys[path] = mark
        if len(path) > _DEEPEST:
            self._report(node, path, f"is nested more than {_DEEPEST} levels deep")
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(each, (*path, index)) for index, each in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in _merged(node):
            if not isinstance(key_node, ScalarNode):
                self._report(key_node, path, "a key must be text, not a list or a section")
                continue
            key = key_node.value
            here = (*path, key)
            if key_node.tag != f"{_TAG}str":
                quoted = f"YAML reads the key {key} as {_kind(key_node)}; put it in quotes"
                self._report(key_node, path, quoted if len(key) < 60 else "put this key in quotes")
                continue
            if key in result:
                first = self._document.keys[here].line
                message = f"is set twice; the first one is on line {first}"
                self._report(key_node, here, message)
                continue
            self._document.keys[here] = _mark(key_node)
            result[key] = self.value(value_node, here)
        return result

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        read = {"null": _null, "float": _float}.get(kind)
        if read is not None:
            return read(text)
        if kind == "bool":
            self._document.booleans[path] = text
            return text.lower() in {"true", "yes", "on"}
        if kind == "int":
            return self._integer(node, path)
        if kind in {"str", "timestamp", "value", "!"}:
            # A date is kept as text: no answer is a date.
            return text
        self._report(node, path, "has an unknown YAML tag (a word that begins with an "
                     "exclamation mark); use a plain value, and put text that begins with one in "
                     "quotes")  # fmt: skip
        return None

    def _integer(self, node: ScalarNode, path: Path) -> Any:
        text = node.value
        if len(text) > _LONGEST_NUMBER:
            self._report(node, path, "this number is too large; put it in quotes if it is text")
            return None
        digits = text.replace("_", "")
        if not _INT.fullmatch(digits):
            # YAML 1.1 reads 22:22 as a base 60 number, which is never meant here.
            return text
        sign = -1 if digits.startswith("-") else 1
        digits = digits.lstrip("+-")
        if digits.startswith("0") and digits.isdigit() and digits != "0":
            number = sign * int(digits, 8)
            # The registry's own configuration has octal numbers, too: permissions.
            if path[:2] not in {("registry", "settings"), ("registry", "environment")}:
                self._report(node, path, f"YAML reads {text} as an octal number, {number}; write "
                             f"{int(digits)}, or put it in quotes if it is text")  # fmt: skip
            return number
        return sign * int(digits, 0)

    def _report(self, node: Node, path: Path, message: str) -> None:
        self._document.problems.append(self._document._at(_mark(node), path, message))


def _merged(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """Yield a mapping's keys and values, then those that ``<<`` merges in."""
    own = [(key, value) for key, value in node.value if key.tag != f"{_TAG}merge"]
    yield from own
    taken = {key.value for key, _ in own if isinstance(key, ScalarNode)}
    for key, value in node.value:
        if key.tag != f"{_TAG}merge":
            continue
        sources = value.value if isinstance(value, SequenceNode) else [value]
        for source in sources:
            if source is node or not isinstance(source, MappingNode):
                continue
            for merged_key, merged_value in source.value:
                name = merged_key.value if isinstance(merged_key, ScalarNode) else None
                if name is not None and name not in taken and merged_key.tag != f"{_TAG}merge":
                    taken.add(name)
                    yield merged_key, merged_value


def _null(text: str) -> None:
    return None


def _float(text: str) -> Any:
    try:
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text  # base 60, as in 1:30.5


def _kind(node: ScalarNode) -> str:
    kind = node.tag.removeprefix(_TAG)
    return {
        "bool": "true or false",
        "int": "a number",
        "float": "a number",
        "null": "null",
        "timestamp": "a date",
    }.get(kind, "something other than text")


def _mark(node: Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def _refuse(document: Document, mark: Mark | None, message: str) -> None:
    document.problems.append(document._at(mark or Mark(1, 1), (), message))


def _unreadable_character(text: str) -> tuple[Mark | None, str]:
    """Find a character that YAML forbids (YAML 1.2, section 5.1)."""
    found = re.search("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    if not found:
        return None, ""
    before = text[: found.start()]
    mark = Mark(before.count("\n") + 1, found.start() - before.rfind("\n"))
    code = f"U+{ord(found.group()):04X}"
    return mark, f'contains the character {code}, which YAML forbids; in quotes, write "\\x.."'


_NOT_YAML = "is not valid YAML from here on"
_NO_COLON = f"{_NOT_YAML}: expected NAME: VALUE, check for a missing colon or quote"
_SECOND_COLON = "mapping values are not allowed"
_INDENTATION = "this line does not match the lines above: check its indentation"
_EXPLAINED = (
    (_SECOND_COLON, "this line has a second colon; put the value in quotes"),
    ("found unexpected end of stream", "a quote or bracket opened before this is not closed"),
    ("undefined alias", "put a value that begins with * in quotes"),
    ("found duplicate anchor", "put a value that begins with & in quotes"),
    ("did not find expected alphabetic", "put a value that begins with * or & in quotes"),
    ("undefined tag handle", "put a value that begins with an exclamation mark in quotes"),
    ("expected a single document", "a second document begins here; only one is allowed"),
    ("did not find expected key", _INDENTATION),
    ("block mapping", _INDENTATION),
    ("block sequence entries are not allowed", "start a list on its own line below its key"),
    ("did not find expected '-'", "this line does not match the list above: check its indentation"),
    ("block collection", "this line does not match the list above: check its indentation"),
    ("expected ',' or", "a comma or the closing bracket is missing before this"),
    ("unknown escape character", "double a backslash in double quotes, or use single quotes"),
    ("escape", "double a backslash in double quotes, or use single quotes"),
    ("cannot start any token", "put a value that begins with @, ` or % in quotes"),
    ("directive", "a line cannot begin with %"),
)


def _before_first_colon(mark: Mark, lines: Sequence[str]) -> tuple[Mark, str]:
    """Return why the first colon of a line is wrong: YAML reads its key as part of what is above.

    Args:
        mark: The colon.
        lines: The lines of the text.
    """
    above = max((n for n in range(1, mark.line) if lines[n - 1].strip()), default=mark.line)
    if ":" in lines[above - 1]:
        return mark, f"{_NOT_YAML}: {_INDENTATION}"
    return Mark(above, 1), _NO_COLON


def _explain(error: yaml.YAMLError, text: str) -> tuple[Mark | None, str]:
    """Return where and why the text is not YAML, never quoting it: it can contain secrets."""
    message = f"{getattr(error, 'context', '')} {getattr(error, 'problem', '')}"
    found = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    mark = Mark(found.line + 1, found.column + 1) if found is not None else None
    if mark is not None:
        lines = text.splitlines()
        line = lines[mark.line - 1] if mark.line <= len(lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())]:
            return mark, "this line is indented with a tab; YAML requires spaces"
        if _SECOND_COLON in message and ":" not in line[: mark.column - 1]:
            return _before_first_colon(mark, lines)
    if "while scanning a simple key" in message:
        return mark, _NO_COLON
    for words, sentence in _EXPLAINED:
        if words in message:
            return mark, f"{_NOT_YAML}: {sentence}"
    return mark, f"{_NOT_YAML}: check for a missing quote, colon or bracket"
