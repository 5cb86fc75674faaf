"""A text whose wrapped lines keep their indent."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

_NOTHING = Content("")


class Indented(Horizontal):
    """A head with a text beside it.

    Args:
        head: The head, whose width is the indent.
        text: The text.
        id: The widget's id.
    """

    DEFAULT_CSS = """
    Indented { height: auto; }
    Indented > .indented--head { width: auto; }
    Indented > .indented--text { width: 1fr; height: auto; }
    """

    def __init__(
        self,
        head: Content = _NOTHING,
        text: Content = _NOTHING,
        *,
        id: str | None = None,  # noqa: A002 # Textual's name for it
    ) -> None:
        super().__init__(id=id)
        self._head = Static(head, classes="indented--head")
        self._text = Static(text, classes="indented--text")

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._text

    def show(self, head: Content, text: Content) -> None:
        """Show another head and text."""
        self._head.update(head)
        self._text.update(text)
