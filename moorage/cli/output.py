"""Print data on stdout and messages on stderr, redacted and escaped."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from moorage.escape import inert_json, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


@dataclass(frozen=True)
class WebOptions:
    """Settings for serving the wizard to a browser.

    Attributes:
        host: The address to listen on.
        port: The port; 0 picks a free one.
        with_token: Whether browsers need the token in the printed URL.
    """

    host: str = "127.0.0.1"
    port: int = 0
    with_token: bool = True


Piece = str | tuple[str, str]
"""Text, or text and a rich style."""

_TERMINAL = {"FORCE_COLOR", "TTY_COMPATIBLE"}
"""Environment variables that make rich treat any stream as a terminal."""


def _is_plain(stream: TextIO) -> bool:
    return not stream.isatty() and _TERMINAL.isdisjoint(os.environ)


def _breaks(text: str, width: int) -> list[int]:
    """Return where the lines of a text begin, after the first, so that no word is broken.

    A word longer than a line, such as a path, is left to the terminal: it can be copied whole.
    """
    from rich.cells import cell_len

    breaks: list[int] = []
    start = 0
    for word in re.finditer(r"\S+", text):
        begin, end = word.span()
        start = max(start, text.rfind("\n", 0, begin) + 1)
        if text[start:begin].strip() and cell_len(text[start:end]) > width:
            start = begin
            breaks.append(begin)
    return breaks


def _unchanged(text: str) -> str:
    return text


@dataclass
class Output:
    """The output of one invocation, and the global options that shape it.

    Attributes:
        as_json: Whether stdout is JSON.
        no_color: Whether colours are off on any terminal.
        web: The settings for a browser; None opens the wizard in the terminal.
        is_stream: Whether stdout is JSON Lines, the result last.
        redact: Removes known secrets from a text.
    """

    as_json: bool = False
    no_color: bool = False
    is_stream: bool = False
    web: WebOptions | None = None
    redact: Callable[[str], str] = _unchanged
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def is_interactive(self) -> bool:
        """Whether the operator can be prompted on a terminal."""
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))

    @property
    def is_live(self) -> bool:
        """Whether stderr is a terminal that can redraw lines."""
        if _is_plain(sys.stderr):
            return False
        return self.stderr.is_terminal and not self.stderr.is_dumb_terminal

    @property
    def width(self) -> int | None:
        """The columns of the terminal that stdout is; None if it is not a terminal."""
        if _is_plain(sys.stdout) or not self.stdout.is_terminal:
            return None
        return self.stdout.width

    @cached_property
    def stdout(self) -> Console:
        """The console for data."""
        return self._console(sys.stdout)

    @cached_property
    def stderr(self) -> Console:
        """The console for messages."""
        return self._console(sys.stderr)

    def data(self, *pieces: Piece) -> None:
        """Print a line of data on stdout.

        Args:
            pieces: Text, or text with a style; never markup.
        """
        if _is_plain(sys.stdout):
            self._write(sys.stdout, pieces)
        else:
            self.stdout.print(self.text(*pieces), soft_wrap=True)

    def message(self, *pieces: Piece) -> None:
        """Print a message on stderr; see :meth:`data`. On a terminal, wrap it between words."""
        if _is_plain(sys.stderr):
            self._write(sys.stderr, pieces)
        else:
            self._print_wrapped(pieces, end="\n")

    def question(self, *pieces: Piece) -> None:
        """Print a question on stderr, wrapped as a message; the answer follows on its last line."""
        self._print_wrapped([*pieces, " "], end="")
        sys.stderr.flush()

    def reveal(self, text: str) -> None:
        """Print a line on stdout without redaction."""
        print(printable(text), file=sys.stdout, flush=True)

    def emit(self, value: object) -> None:
        """Print one JSON value as a line on stdout; thread-safe."""
        line = inert_json(json.dumps(self._clean(value), ensure_ascii=False))
        with self._lock:
            print(line, file=sys.stdout, flush=True)

    def text(self, *pieces: Piece) -> Text:
        """Return pieces as rich text: redacted, control characters escaped."""
        from rich.text import Text

        text = Text()
        for piece in pieces:
            content, style = (piece, "") if isinstance(piece, str) else piece
            text.append(self._safe(content), style or None)
        return text

    def _print_wrapped(self, pieces: Sequence[Piece], end: str) -> None:
        text = self.text(*pieces)
        if sys.stderr.isatty():
            *lines, text = text.divide(_breaks(text.plain, self.stderr.width))
            for line in lines:
                line.rstrip()
                self.stderr.print(line, soft_wrap=True)
        self.stderr.print(text, end=end, soft_wrap=True)

    def _safe(self, content: str) -> str:
        return printable(self.redact(content))

    def _write(self, stream: TextIO, pieces: Sequence[Piece]) -> None:
        """Print a line as rich would without a terminal; importing rich takes time."""
        contents = (piece if isinstance(piece, str) else piece[0] for piece in pieces)
        line = "".join(self._safe(content) for content in contents)
        print(line.expandtabs(), file=stream, flush=True)

    def _clean(self, value: object) -> object:
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {key: self._clean(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(each) for each in value]
        return value

    def _console(self, stream: TextIO) -> Console:
        from rich.console import Console

        # None lets rich decide from NO_COLOR and TERM.
        return Console(
            file=stream,
            no_color=True if self.no_color else None,
            markup=False,
            highlight=False,
            emoji=False,
        )
