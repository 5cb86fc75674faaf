"""Time of `moorage --help` compared with starting Python.

Run: python -m bench.help [ROUNDS].
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "moorage --help": ["-c", "from moorage.cli.main import main; main(['--help'])"],
}


def main() -> None:
    """Measure both in turn and print the difference."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            taken[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times) * 1000 for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{name:<20}{median:>8.0f} ms")
    plain, with_help = medians.values()
    print(f"{'more':<20}{with_help - plain:>8.0f} ms (ratio {with_help / plain:.2f})")


if __name__ == "__main__":
    main()
