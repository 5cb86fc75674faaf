"""Texts are for people: the engine's contain no paths in the answers, and no code reads them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.answers.model import Answers

_ROOT = Path(__file__).parents[2]
_ENGINE = sorted(
    path
    for path in (_ROOT / "moorage").rglob("*.py")
    # The command line names keys of the file, and the reference of the answers is about them.
    if not path.is_relative_to(_ROOT / "moorage" / "cli") and path.name != "reference.py"
)
_EVERYTHING = sorted(
    path for package in ("moorage", "tui", "screens") for path in (_ROOT / package).rglob("*.py")
)
_PATH = re.compile(
    rf"(?<![\w./-])({'|'.join(Answers.model_fields)})(\[\d*\])?\.[a-z_0-9]+\b(?!\.\w)"
)
_TEXTS = {"message", "advice", "text", "detail"}
_READS = {
    "startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "replace",
    "find", "index", "split",
}  # fmt: skip


def _name(path: Path) -> str:
    return str(path.relative_to(_ROOT))


def _sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
            and " " in node.value.strip()
            and not node.value.startswith("#")  # a comment in a file on a server
        ):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", _ENGINE, ids=_name)
def test_engine_messages_name_no_keys_of_the_answers(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    found = [(line, text) for line, text in _sentences(tree) if _PATH.search(text)]
    assert not found, "give the path in `fields`; each face adds the name it has for it"


def _is_text(node: ast.AST) -> bool:
    """Whether an expression is the text of an error, a note or an event."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in {"lower", "upper", "strip"} and _is_text(node.func.value)
    return isinstance(node, ast.Attribute) and node.attr in _TEXTS


@pytest.mark.parametrize("path", _EVERYTHING, ids=_name)
def test_no_code_reads_the_text_of_an_error(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn() | ast.Eq() | ast.NotEq()]):
                constant = isinstance(node.left, ast.Constant) and bool(node.left.value)
                if constant and _is_text(node.comparators[0]):
                    found.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr=attr, value=value)) if attr in _READS:
                # Without arguments it splits at white space, to show the text in one line.
                if node.args and _is_text(value):
                    found.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=[_, text, *_]):
                if _is_text(text):
                    found.append(node.lineno)
    assert not found, "decide by `code`, `fields` or a status instead"
