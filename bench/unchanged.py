"""Time of a `moorage apply` without changes, compared with one `ssh`.

Run as root: python -m bench.unchanged [ROUNDS] [OTHER]. It boots its own lab servers. OTHER is a
folder with another version of Moorage to compare with. That one gets a server of its own: if two
versions took turns on one server, each would replace the other's files, and no apply would be
without changes. The benchmark fails if a run changed a deployment.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.other_tools import OtherTools
from lab import Lab, LabServer
from moorage.desired import layout

SOURCE = Path(__file__).parents[1]
ANSWERS = """\
version: 1
registry: {{domain: registry.bench.test}}
servers:
  - {{host: {host}, port: {port}, user: root, key: {key}}}
credentials:
  users:
    - {{name: ci, password: {password}}}
"""


@dataclass(frozen=True)
class Duration:
    """The duration of one run in seconds: wall-clock time, and CPU time on this machine."""

    wall: float
    cpu: float


def measure(rounds: int, acts: Mapping[str, Callable[[], object]]) -> dict[str, list[Duration]]:
    """Time several functions in turn; the first round is a warm-up."""
    times: dict[str, list[Duration]] = {name: [] for name in acts}
    for count in range(rounds + 1):
        for name, act in acts.items():
            before, started = _cpu(), time.perf_counter()
            act()
            if count:
                times[name].append(Duration(time.perf_counter() - started, _cpu() - before))
    return times


def median(rounds: int, act: Callable[[], object]) -> float:
    """Return the median wall-clock time of a function in seconds."""
    return statistics.median(each.wall for each in measure(rounds, {"it": act})["it"])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Bench:
    """Moorage and ssh against one server; ``folder`` contains their files.

    The registry's user ``ci`` gets the password, or a generated one.
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
        # Installed programs have bytecode; here the warm-up round writes it.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def moorage(self, at: tuple[str, int], *more: str, source: Path | None = None) -> None:
        """Apply.

        Args:
            at: Host and port.
            more: Additional options.
            source: The folder with Moorage's source code; this one when None.
        """
        known_hosts = self.server.known_hosts_line(*at) + "\n"
        (self.folder / "known_hosts").write_text(known_hosts)
        answers = self.folder / "moorage.yml"
        text = ANSWERS.format(host=at[0], port=at[1], key=self.server.key, password=self.password)
        answers.write_text(text)
        command = [sys.executable, "-m", "moorage", "apply", str(answers), "--yes", *more]
        subprocess.run(
            command, env=self.environment, cwd=source or SOURCE, capture_output=True, check=True
        )

    def revision(self) -> str:
        """Return the record of the deployment on the server, which each change replaces."""
        return self.server.read_file(layout.DEPLOYMENT)

    def ssh(self, at: tuple[str, int]) -> None:
        """Run a command that does nothing."""
        subprocess.run([*self.server.ssh_command(at=at), "true"], check=True, capture_output=True)


def main() -> None:
    """Measure with and without added latency, and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    other = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        server = lab.boot("bench")
        bench = _deploy(server, Path(folder))
        tools = OtherTools(server, Path(folder))
        before = None
        if other is not None:
            before = _deploy(lab.boot("bench-before"), Path(folder, "before"), other)
        for title, delay in (("on the same bridge", 0), ("100 ms latency", 100)):
            at = _reach(server, delay)
            acts = {
                "ssh": partial(bench.ssh, at),
                "moorage": partial(bench.moorage, at, "--no-verify"),
                "pyinfra": partial(tools.pyinfra, at),
                "ansible": partial(tools.ansible, at),
            }
            if before is not None:
                acts["moorage, before"] = partial(
                    before.moorage, _reach(before.server, delay), "--no-verify", source=other
                )
            deployed = [each.revision() for each in (bench, before) if each is not None]
            report(f"nothing to change, one server {title}", measure(rounds, acts))
            if deployed != [each.revision() for each in (bench, before) if each is not None]:
                raise SystemExit(
                    "a run changed its deployment: these are not times without changes"
                )


def _deploy(server: LabServer, folder: Path, source: Path | None = None) -> Bench:
    """Deploy the registry, so that the next apply has nothing to change."""
    folder.mkdir(exist_ok=True)
    bench = Bench(server, folder)
    bench.moorage((server.address, 22), "--show-passwords", "--no-verify", source=source)
    return bench


def _reach(server: LabServer, delay: int) -> tuple[str, int]:
    """Return the host and port at which a server answers with a delay in milliseconds."""
    return server.start_proxy(delay) if delay else (server.address, 22)


def report(title: str, times: Mapping[str, list[Duration]]) -> None:
    """Print a table of times, with ratios to the first row."""
    first = statistics.median(each.wall for each in next(iter(times.values())))
    print(f"{title:<44}{'least':>9}{'median':>9}{'CPU':>9}{'ratio':>8}")
    for name, taken in times.items():
        wall = [each.wall for each in taken]
        cpu = statistics.median(each.cpu for each in taken)
        usual = statistics.median(wall)
        print(f"  {name:<42}{min(wall):>7.3f} s{usual:>7.3f} s{cpu:>7.3f} s{usual / first:>8.2f}")


if __name__ == "__main__":
    main()
