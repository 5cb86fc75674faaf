"""Time until the wizard's first paint, compared with a Textual app with the same widgets.

Run: python -m bench.first_paint [ROUNDS]. Both run as processes in a terminal of 120 by 40.
"""

from __future__ import annotations

import os
import pty
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HELLO = """\
from textual.app import App
from textual.containers import Vertical
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

class Hello(App):
    def compose(self):
        yield Static("Moorage")
        with Vertical():
            yield Static("Hello")
            yield OptionList(Option("one"), Option("two"), Option("three"))
        yield Footer()

Hello().run()
"""
_ENOUGH = 60.0
"""Seconds a program has to paint something."""


def first_paint(command: list[str], wanted: bytes) -> float:
    """Return the seconds from the start of a program until it paints a text."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor",
                   "COLUMNS": "120", "LINES": "40"}  # fmt: skip
    # Installed programs have bytecode; here the warm-up round writes it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environment,
        start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    seen = b""
    try:
        while wanted not in seen:
            if time.perf_counter() - began > _ENOUGH:
                raise TimeoutError(f"{command} paints no {wanted!r}")
            seen += os.read(leader, 65536)
        return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def main() -> None:
    """Measure both in turn and print the ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        hello = Path(folder) / "hello.py"
        hello.write_text(HELLO, encoding="utf-8")
        os.environ["MOORAGE_STATE"] = folder
        commands = {
            "hello": ([sys.executable, str(hello)], b"three"),
            "moorage": ([sys.executable, "-m", "moorage"], b"Connect to a server"),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for count in range(rounds + 1):
            for name, (command, wanted) in commands.items():
                taken = first_paint(command, wanted)
                if count:
                    times[name].append(taken)
    median = {name: statistics.median(taken) for name, taken in times.items()}
    print(
        f"first paint: Textual alone {median['hello']:.2f} s, "
        f"the wizard {median['moorage']:.2f} s, "
        f"ratio {median['moorage'] / median['hello']:.2f} (median of {rounds})"
    )


if __name__ == "__main__":
    main()
