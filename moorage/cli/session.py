"""What a command prints with: data on stdout, narration on stderr, both redacted and inert."""

from __future__ import annotations

import json
import os
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
class WebPlace:
    """Where the wizard is served to a browser.

    Attributes:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        with_token: Whether the address that is printed is needed to get in.
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


def _unchanged(text: str) -> str:
    return text


@dataclass
class Session:
    """One call of the command line.

    Attributes:
        as_json: Whether stdout is JSON.
        no_color: Whether colours are off whatever the terminal can do.
        web: Where the wizard is served to a browser; None opens it in the terminal.
        is_stream: Whether stdout is JSON Lines whose last line is the result.
        redact: Takes known secrets out of a text.
    """

    as_json: bool = False
    no_color: bool = False
    is_stream: bool = False
    web: WebPlace | None = None
    redact: Callable[[str], str] = _unchanged
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def is_interactive(self) -> bool:
        """Whether there is somebody at a terminal who can be asked."""
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))

    @property
    def is_live(self) -> bool:
        """Whether narration goes to a terminal that can redraw lines."""
        if _is_plain(sys.stderr):
            return False
        return self.stderr.is_terminal and not self.stderr.is_dumb_terminal

    @cached_property
    def stdout(self) -> Console:
        """Where data goes."""
        return self._console(sys.stdout)

    @cached_property
    def stderr(self) -> Console:
        """Where narration goes."""
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

    def narrate(self, *pieces: Piece) -> None:
        """Print a line of narration on stderr; see :meth:`data`."""
        if _is_plain(sys.stderr):
            self._write(sys.stderr, pieces)
        else:
            self.stderr.print(self.text(*pieces), soft_wrap=True)

    def reveal(self, text: str) -> None:
        """Print a line on stdout that holds a secret on purpose."""
        print(printable(text), file=sys.stdout, flush=True)

    def emit(self, value: object) -> None:
        """Print one JSON value as a line on stdout; may be called in any thread."""
        line = inert_json(json.dumps(self._clean(value), ensure_ascii=False))
        with self._lock:
            print(line, file=sys.stdout, flush=True)

    def text(self, *pieces: Piece) -> Text:
        """Make text of pieces: redacted, control characters escaped."""
        from rich.text import Text

        made = Text()
        for piece in pieces:
            content, style = (piece, "") if isinstance(piece, str) else piece
            made.append(self._shown(content), style or None)
        return made

    def _shown(self, content: str) -> str:
        return printable(self.redact(content))

    def _write(self, stream: TextIO, pieces: Sequence[Piece]) -> None:
        """Print a line as rich does without a terminal, but without importing rich."""
        contents = (piece if isinstance(piece, str) else piece[0] for piece in pieces)
        line = "".join(self._shown(content) for content in contents)
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

        # NO_COLOR and TERM=dumb are rich's own business; None leaves the decision to it.
        return Console(
            file=stream,
            no_color=True if self.no_color else None,
            markup=False,
            highlight=False,
            emoji=False,
        )
