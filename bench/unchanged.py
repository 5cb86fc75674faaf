"""How long it takes to find nothing to change: `moorage apply`, whole process, beside one `ssh`.

Run as root: python -m bench.unchanged [ROUNDS]. It boots a lab server of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lab import Lab, LabServer

ANSWERS = """\
version: 1
registry: {{domain: registry.bench.test}}
servers:
  - {{host: {host}, port: {port}, user: root, key: {key}}}
credentials:
  users:
    - {{name: ci, password: {password}}}
"""


def measure(rounds: int, act: Callable[[], object]) -> float:
    """Return the median of how long something takes, in seconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


class Bench:
    """Moorage and ssh against one server; ``folder`` holds what they need.

    The registry's user ``ci`` gets the password, or one that is made.
    """

    def __init__(self, server: LabServer, folder: Path, password: str = "") -> None:
        self.server = server
        self.folder = folder
        self.password = "{env: CI_PASSWORD}" if password else "{generate: true}"
        config = folder / "ssh_config"
        config.write_text(f"Host *\n  UserKnownHostsFile {folder}/known_hosts\n")
        self.environment = {
            **os.environ,
            "MOORAGE_STATE": str(folder / "state"),
            "MOORAGE_SSH_CONFIG": str(config),
            "CI_PASSWORD": password,
        }

    def moorage(self, at: tuple[str, int], *more: str) -> None:
        """Apply."""
        known_hosts = self.server.known_hosts_line(*at) + "\n"
        (self.folder / "known_hosts").write_text(known_hosts)
        answers = self.folder / "moorage.yml"
        text = ANSWERS.format(host=at[0], port=at[1], key=self.server.key, password=self.password)
        answers.write_text(text)
        command = [sys.executable, "-m", "moorage", "apply", str(answers), "--yes", *more]
        subprocess.run(command, env=self.environment, capture_output=True, check=True)

    def ssh(self, at: tuple[str, int]) -> None:
        """Run one command that does nothing."""
        subprocess.run([*self.server.ssh_command(at=at), "true"], check=True, capture_output=True)


def main() -> None:
    """Measure near and far, and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        server = lab.boot("bench")
        bench = Bench(server, Path(folder))
        near = (server.address, 22)
        bench.moorage(near, "--show-passwords", "--no-verify")
        print(f"{'nothing to change, one server':<34}{'moorage':>10}{'ssh':>10}{'ratio':>8}")
        for title, at in (("on the same bridge", near), ("100 ms away", server.far(100))):
            ours = measure(rounds, partial(bench.moorage, at, "--no-verify"))
            theirs = measure(rounds, partial(bench.ssh, at))
            print(f"{title:<34}{ours:>8.3f} s{theirs:>8.3f} s{ours / theirs:>8.2f}")


if __name__ == "__main__":
    main()
