"""A terminal for tests: tmux with its own server."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class Terminal:
    """A program in a terminal.

    Args:
        command: The program and its arguments.
        environment: Additional environment variables, besides PATH and TERM.
        folder: Its working directory.
        size: Columns and lines.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        size: tuple[int, int] = (120, 40),
    ) -> None:
        self._socket = f"moorage-test-{secrets.token_hex(4)}"
        self.keystrokes = 0
        words = ["env", *(f"{name}={value}" for name, value in environment.items()), *command]
        columns, lines = size
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-s", "main", "-c", str(folder),
            "-x", str(columns), "-y", str(lines), f"{shlex.join(words)}; sleep 60",
        )  # fmt: skip

    def _tmux(self, *words: str, commands: str | None = None) -> str:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        environment.pop("TMUX", None)
        return subprocess.run(
            ["tmux", "-u", "-L", self._socket, *words],
            check=True,
            capture_output=True,
            text=True,
            input=commands,
            env=environment,
        ).stdout

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names, such as Enter, Escape, C-s, M-3, F1, x."""
        for key in keys:
            self._tmux("send-keys", "-t", "main", key)
            self.keystrokes += 1

    def type(self, text: str) -> None:
        """Type text, which may be a secret: it does not appear in any process's arguments."""
        self._tmux("source-file", "-", commands=f"send-keys -t main -l {shlex.quote(text)}\n")
        self.keystrokes += len(text)

    def paste(self, text: str) -> None:
        """Paste text, as a terminal does: bracketed only if the program asked for it."""
        self._tmux("load-buffer", "-", commands=text)
        self._tmux("paste-buffer", "-d", "-p", "-t", "main")

    @property
    def screen(self) -> str:
        """The text on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "main")

    @property
    def painted(self) -> str:
        """The text on the screen, with colours as escape sequences."""
        return self._tmux("capture-pane", "-p", "-e", "-t", "main")

    def see(self, *wanted: str, seconds: float = 60) -> str:
        """Wait until one of these texts is on the screen, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            screen = self.screen
            for text in wanted:
                if text in screen:
                    return text
            time.sleep(0.1)
        raise AssertionError(f"none of {wanted} is on the screen:\n{self.screen}")

    def close(self) -> None:
        """Close the terminal as after a lost connection: the program gets SIGHUP."""
        words = ["tmux", "-L", self._socket, "kill-server"]
        subprocess.run(words, check=False, capture_output=True)
