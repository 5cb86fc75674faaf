"""Run the collector on a folder of this machine, with something that answers as nginx does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from moorage.images.task import Task
from templates.load import FOLDER

_CONFIG = "storage:\n  filesystem:\n    rootdirectory: {root}\n    maxthreads: 100\n"
_PROGRAM = """
import errno, os, signal, sys
from pathlib import Path
from moorage.images import alive, collector, spare
from moorage.images.task import read_task

folder, left = Path(sys.argv[1]), abs(int(sys.argv[2]))
is_killed = int(sys.argv[2]) > 0
changes = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "open"}


def count(event, arguments):
    global left
    if event in changes and str(folder.parent) in str(arguments) and ".py" not in str(arguments):
        if event == "open" and not (isinstance(arguments[1], str) and arguments[1][0] in "wa"):
            return
        left -= 1
        if left == 0 and is_killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if left <= 0 and event in {"open", "os.mkdir", "os.link"}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


if left:
    sys.addaudithook(count)
os.umask(0o022)
collector.DRAIN = 0.0
for module in (alive, collector, spare):
    # Here, the clock is exact.
    module.CLOCK_STEP = 0.01
if len(sys.argv) > 4:
    young_since = float(sys.argv[4])
    alive.Limits.is_young = lambda limits, changed: changed >= young_since
run = Path(sys.argv[3])
places = collector.Places(
    run, folder / "state", folder / "etc", folder / "web", folder / "upstream.conf",
    folder / "slots", folder / "moorage.log",
)
collector.Collector(places, read_task(run / "task.json")).run()
"""


class CollectorAtWork:
    """A server's folders.

    Args:
        folder: Where they are.
        root: The storage's root folder.

    Attributes:
        python: The interpreter that the collector runs with.
        young_since: Since when whatever was written is young; None if the task says so.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self.python = sys.executable
        self.young_since: float | None = None
        self.images_script = (FOLDER / "shell/images.sh").read_bytes()
        self._count = 0
        for name in ("state/runs", "etc/blue", "web", "slots"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.log = folder / "moorage.log"
        self.log.touch()
        self.config = folder / "etc/blue/config.yml"
        self.config.write_text(_CONFIG.format(root=root))
        (folder / "upstream.conf").write_text(
            "server unix:/run/moorage-registry/blue/registry.sock;"
        )

    def start(self, killed_after: int = 0, **task: object) -> subprocess.Popen[str]:
        """Start a run, killed before its Nth change of a file; if negative, its disk fills."""
        self._count += 1
        run = self.folder / f"state/runs/run{self._count:04}"
        run.mkdir()
        values: dict[str, object] = {
            "action": "collect", "grace": 0.0, "young": 0.0, "takes_untagged": True, "looks": (),
        }  # fmt: skip
        whole = Task(root=str(self.root), **{**values, **task})  # type: ignore[arg-type]
        (run / "task.json").write_text(json.dumps(asdict(whole)))
        (run / "images.sh").write_bytes(self.images_script)
        return subprocess.Popen(
            [self.python, "-B", "-c", _PROGRAM, str(self.folder), str(killed_after), str(run),
             *([] if self.young_since is None else [str(self.young_since)])],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ.copy(),
        )  # fmt: skip

    def run(self, killed_after: int = 0, **task: object) -> tuple[list[str], str]:
        """Run to the end; returns the words of its result, none if it was killed, and its log."""
        output = self.start(killed_after, **task).communicate(timeout=1200)[0]
        results = [line for line in output.splitlines() if line.startswith("@result")]
        return (results[-1].split("\t")[1:] if results else []), output


@contextmanager
def nginx_that_holds(folder: Path) -> Iterator[None]:
    """Answer whether writes can be held.

    Args:
        folder: nginx's runtime folder.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "held.sock"))
        listener.listen(100)

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
