"""Faults at the exact beginning of a run's step, without support in the product.

A run pauses at the beginning of the step to interrupt, until its control group is frozen from
outside the server. Commands that fail or hang are wrappers in /usr/local/sbin, which is first in a
run's PATH: they call the real program until a file tells them to fail.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lab import LabServer
from templates.load import shell_script, shell_scripts

PROGRAMS = (
    "apt-get", "certbot", "cp", "docker", "docker-registry", "flock", "install", "mkdir", "mv",
    "nginx", "openssl", "podman", "rm", "sync", "systemctl", "timeout", "useradd",
)  # fmt: skip
"""Programs that runs call; each step starts with one of them."""
SHIM = """\
#!/bin/sh
# Fails or hangs once when /run/fault says so and a run calls it.
me=${{0##*/}}
is_meant() {{
    case "${{who:-}}" in "$me" | "$me ${{1:-}}" | any) ;; *) return 1 ;; esac
    grep -q moorage-run- /proc/self/cgroup && /usr/bin/mv /run/fault /run/fault.$$
}}
if {{ read -r what who </run/fault && is_meant "$@"; }} 2>/dev/null; then
    case "$what" in
    fail) echo "$me: this fault was made for a test" >&2; exit 1 ;;
    hang) exec sleep infinity ;;
    esac
fi
exec {real} "$@"
"""
SMALL = "/srv/small"
FOLDERS = ("/etc/moorage", "/etc/nginx", "/var/lib/moorage")


def steps() -> tuple[str, ...]:
    """List the steps in a run's scripts, in order, those of the rollback last."""
    scripts = shell_script("run/slots.sh") + shell_script("run/run.sh")
    code = re.sub(r"(?m)^ *#.*", "", scripts)
    found = re.findall(r"\b(?:step|run_hooks) ([a-z-]+)", code)
    return tuple(dict.fromkeys((*found, "rollback")))


def wait_at_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make runs pause at the steps to interrupt."""
    wait = "    while [ -e /run/meet.{} ]; do sleep 0.01; done\n"
    announced = """|| cannot_write "$run/step"\n"""
    for script, line, step in (
        ("common.sh", announced, '"$1"'),
        ("rollback.sh", "restore_all() {\n", "rollback"),
    ):
        scripts = shell_scripts("run")
        assert line in scripts[script]
        text = scripts[script].replace(line, line + wait.format(step))
        monkeypatch.setitem(scripts, script, text)


def install_wrappers(server: LabServer) -> None:
    """Install wrappers in front of the real programs."""
    for program in PROGRAMS:
        # Some programs only come with the packages that a first run installs.
        real = f"$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v {program} || echo /usr/bin/false)"
        server.write_file(f"/usr/local/sbin/{program}", SHIM.format(real=real), mode=0o755)


def put_on_small_disk(server: LabServer) -> None:
    """Move all folders that a run writes to onto one small filesystem."""
    server.run(
        f"mkdir -p {SMALL} && mount -t tmpfs -o size=1200m,nr_inodes=20000,mode=0755 tmpfs {SMALL}"
    )
    for number, folder in enumerate(FOLDERS):
        server.run(
            f"mkdir -p {folder} {SMALL}/{number} && cp -a {folder}/. {SMALL}/{number}/ && "
            f"mount --bind {SMALL}/{number} {folder}"
        )


def leave_small_disk(server: LabServer) -> None:
    """Move the folders back to the server's own disk, with their content."""
    for number, folder in enumerate(FOLDERS):
        server.run(
            f"! mountpoint -q {folder} || "
            f"{{ umount -l {folder} && cp -a {SMALL}/{number}/. {folder}/; }}"
        )
    server.run(f"umount -l {SMALL} 2>/dev/null || true")


def _forget_runs(server: LabServer) -> None:
    """Delete finished runs, which the next run would delete to free space."""
    server.run(
        'for run in /var/lib/moorage/runs/*; do [ ! -e "$run/result" ] || rm -r "$run"; done'
    )


def fill_disk(server: LabServer) -> None:
    """Fill the disk to the last byte."""
    _forget_runs(server)
    server.run(f"cat /dev/zero >{SMALL}/full 2>/dev/null || true")


def fill_inodes(server: LabServer) -> None:
    """Use all inodes."""
    _forget_runs(server)
    server.run(
        f'mkdir -p {SMALL}/many && python3 -c "import itertools\n'
        f"for n in itertools.count(): open('{SMALL}/many/%d' % n, 'w')\" 2>/dev/null || true"
    )


def make_room(server: LabServer) -> None:
    """Delete the files that fill the disk."""
    server.run(f"rm -rf {SMALL}/full {SMALL}/many")


def next_command(server: LabServer, what: str, program: str = "any") -> None:
    """Make the run's next program, or the next "NAME" or "NAME ARGUMENT", fail or hang."""
    server.inside("/run/fault").write_text(f"{what} {program}\n")


def end_run(server: LabServer) -> None:
    """Stop the unit of the current run."""
    server.run("systemctl stop --no-block 'moorage-run-*'")


def record_of(server: LabServer) -> str:
    """Return a server's deployment.json."""
    return server.run("cat /etc/moorage/deployment.json 2>/dev/null || true").stdout


class Breakpoint:
    """Freezes a run at the beginning of a step and calls a function, during the block.

    Attributes:
        was_hit: Whether a run reached the step.

    Args:
        server: The run's server.
        step: The step.
        act: The function to call while the run is frozen.
    """

    def __init__(self, server: LabServer, step: str, act: Callable[[Breakpoint], object]) -> None:
        self.was_hit = False
        self._server, self._step, self._act = server, step, act
        self._runs = server.inside("/var/lib/moorage/runs")
        self._run = self._runs
        self._known = set(self._all_runs())
        self._group = server.control_group
        self._ended = threading.Event()
        self._hold = server.inside(f"/run/meet.{step}")
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Breakpoint:
        self._hold.touch()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._hold.unlink(missing_ok=True)
        self._thread.join(60)

    def _all_runs(self) -> list[Path]:
        with suppress(OSError):
            return list(self._runs.iterdir())
        return []

    def _watch(self) -> None:
        while not self._ended.wait(0.001):
            for run in set(self._all_runs()) - self._known:
                if self._step in _steps_of(run):
                    self._meet(run)
                    return

    def _meet(self, run: Path) -> None:
        group = next(self._server.control_group.rglob(f"moorage-run-{run.name}.service"), None)
        if group is None:
            return  # It has already ended.
        (group / "cgroup.freeze").write_text("1")
        while "frozen 1" not in (group / "cgroup.events").read_text():
            time.sleep(0.001)
        self._hold.unlink()
        self.was_hit, self._run, self._group = True, run, group
        self._act(self)
        # It is gone when the run was killed.
        with suppress(OSError):
            (group / "cgroup.freeze").write_text("0")

    def wait_for_word(self, word: str) -> None:
        """Wait until the run can receive a word."""
        end = time.monotonic() + 30
        while not (self._run / word).exists() and time.monotonic() < end:
            time.sleep(0.01)

    def kill_run(self) -> None:
        """Kill all processes of the run at once, as the kernel does."""
        (self._group / "cgroup.kill").write_text("1")


def _steps_of(run: Path) -> list[str]:
    with suppress(OSError):
        steps = (run / "step").read_text().split()
        return steps if not steps or (run / "forward").exists() else [*steps, "rollback"]
    return []


def leftovers(server: LabServer) -> list[str]:
    """List leftovers of a run: drafts of files, secrets, a second slot, the run's unit."""
    found = server.run(
        "find /etc/moorage /etc/nginx /etc/systemd/system -name '.moorage.*' 2>/dev/null; "
        "find /var/lib/moorage/runs -mindepth 2 -maxdepth 2 "
        r"\( -name content -o -name backup -o -name hooks -o -name image.tar \) 2>/dev/null; "
        "systemctl list-units --no-legend --plain 'moorage-run-*' | cut -d' ' -f1",
    ).stdout.split()
    slots = server.run(
        "systemctl list-units --no-legend --plain --state=active 'moorage-registry@*.service'"
    ).stdout.split("\n")
    active = [line.split()[0] for line in slots if line]
    return [*found, *(active if len(active) > 1 else ())]
