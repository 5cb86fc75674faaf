"""A text whose wrapped lines keep their indent."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static


class Indented(Horizontal):
    """A head with a text beside it.

    Args:
        head: The head, whose width is the indent.
        text: The text.
    """

    DEFAULT_CSS = """
    Indented { height: auto; }
    Indented > .indented--head { width: auto; }
    Indented > .indented--text { width: 1fr; height: auto; }
    """

    def __init__(self, head: Content, text: Content) -> None:
        super().__init__()
        self._head = head
        self._text = text

    def compose(self) -> ComposeResult:
        yield Static(self._head, classes="indented--head")
        yield Static(self._text, classes="indented--text")
