"""Remove images by the retention rules and free their space, on the server's own schedule.

moorage-collect.service starts it with the file of settings as the only argument. The run is one
like any other: it has a folder with its log and result, and takes the same locks. Its end is kept
in a file of its own, too, because applies forget old runs.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from moorage.images.collector import Collector, Places
from moorage.images.task import Task, read_task

PATIENCE = 3600.0
"""Seconds for which it waits until other runs have ended."""
PAUSE = 5.0
KEPT_RUNS = 10
MARK = "scheduled"
"""The file in a run's folder that tells it from the operators' runs."""
SUMMARY = "collection"
"""The file with the end of the last run, in Moorage's state folder."""


def run_scheduled(task: Task, script: Path, places: Places) -> bool:
    """Run a task, and keep how it ended.

    Args:
        task: The task.
        script: The script that lists the registry's files.
        places: The server's folders; the run's own is created below the state folder.

    Returns:
        Whether it succeeded.
    """
    _wait_for_others(places.state)
    began = int(time.time())
    run = _create(places.state / "runs", script)
    _note(places.state / SUMMARY, ["began", run.name, str(began)])
    with (run / "log").open("a") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
    _forget(places.state / "runs", run)
    collector = Collector(Places(run, *_rest(places)), task)
    collector.run()
    lines = _lines(run / "result")
    ended = ["ended", run.name, str(began), str(int(time.time())), *lines]
    numbers = [["number", name, str(value)] for name, value in collector.numbers.items()]
    _note(places.state / SUMMARY, ended, *numbers)
    return lines[0] in {"done", "cancelled"}


def _rest(places: Places) -> tuple[Path, ...]:
    return (
        places.state, places.etc, places.web, places.upstream, places.sockets, places.log,
    )  # fmt: skip


def _create(runs: Path, script: Path) -> Path:
    """Create the folder of a new run, with a name as the operators' runs have it."""
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    run = runs / f"{stamp}{int(now * 1000) % 1000:03d}-{secrets.token_hex(2)}"
    runs.mkdir(mode=0o700, exist_ok=True)
    run.mkdir(mode=0o700)
    shutil.copyfile(script, run / "images.sh")
    for name in ("lock", MARK):
        (run / name).touch()
    (run / "task.json").write_text('{"action": "scheduled"}\n')
    return run


def _forget(runs: Path, this: Path) -> None:
    """Remove the oldest of the scheduled runs."""
    old = sorted(each.parent for each in runs.glob(f"*/{MARK}") if each.parent != this)
    for run in old[: -KEPT_RUNS + 1]:
        shutil.rmtree(run, ignore_errors=True)


def _wait_for_others(state: Path) -> None:
    """Wait until no other run holds a lock; after a while, the run reports that one does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and any(_is_locked(state / each) for each in _LOCKS):
        time.sleep(PAUSE)


_LOCKS = ("images.lock", "lock")


def _is_locked(path: Path) -> bool:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _lines(result: Path) -> list[str]:
    """Return the three lines of a result: status, code and values."""
    try:
        lines = result.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = ["failed", "cannot_write", str(result)]
    return [*lines, "", "", ""][:3]


def _note(path: Path, *lines: list[str]) -> None:
    with suppress(OSError):
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
        temporary.replace(path)


def main(settings: str) -> int:
    """Run until the work is done.

    Args:
        settings: The file with the task; the script that lists files is beside it.
    """
    os.umask(0o022)
    path = Path(settings)
    is_good = run_scheduled(read_task(path), path.with_name("images.sh"), Places(Path()))
    return 0 if is_good else 1
