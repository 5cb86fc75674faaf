"""Syntax colours for the files that Moorage writes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygments.lexer import Lexer

LineStyles = tuple[tuple[int, int, str], ...]
"""The start and end of each style in a line, and the style."""


def kind_of(path: str) -> str:
    """Return the pygments name of a file's language; empty for plain text."""
    name = PurePosixPath(path).name
    if name == "access.map" or (name.endswith(".conf") and "nginx" in path):
        return "nginx"
    endings = {".yml": "yaml", ".yaml": "yaml", ".service": "ini", ".env": "bash", ".js": "js",
               ".json": "json", ".sh": "bash"}  # fmt: skip
    return endings.get(PurePosixPath(path).suffix, "")


@lru_cache(maxsize=64)
def highlight(path: str, text: str) -> tuple[LineStyles, ...]:
    """Return the styles of every line of a file.

    Args:
        path: The file; its name decides the language.
        text: Its content.
    """
    count = len(text.splitlines())
    kind = kind_of(path)
    if not kind or len(text) > 200_000:
        return ((),) * count
    from pygments.lexers import get_lexer_by_name

    lexer: Lexer = get_lexer_by_name(kind, stripnl=False, ensurenl=False)
    lines: list[list[tuple[int, int, str]]] = [[]]
    column = 0
    for token, value in lexer.get_tokens(text):
        style = _style(str(token))
        for number, part in enumerate(value.split("\n")):
            if number:
                lines.append([])
                column = 0
            if style and part:
                lines[-1].append((column, column + len(part), style))
            column += len(part)
    found = [tuple(line) for line in lines[:count]]
    return tuple(found + [()] * (count - len(found)))


_STYLES = (
    ("Token.Comment", "$syntax-comment italic"),
    ("Token.Keyword.Constant", "$syntax-number"),
    ("Token.Keyword", "$syntax-keyword"),
    ("Token.Name.Tag", "$syntax-name"),
    ("Token.Name.Attribute", "$syntax-name"),
    ("Token.Name.Variable", "$syntax-name"),
    ("Token.Name.Namespace", "$syntax-keyword"),
    ("Token.Name.Builtin", "$syntax-keyword"),
    ("Token.Literal.Number", "$syntax-number"),
    ("Token.Literal.String", "$syntax-value"),
    ("Token.Literal.Scalar", "$syntax-value"),
    ("Token.Literal", "$syntax-value"),
)


@lru_cache(maxsize=256)
def _style(token: str) -> str:
    return next((style for prefix, style in _STYLES if token.startswith(prefix)), "")
