"""Take part in a change of images in a bucket, on a server whose registry uses it.

The operator's machine changes the bucket; the program that a run starts here (as in collector.py)
lets it hold writes at nginx, and tells it what clients asked for and wrote. The two speak over a
socket in the run's folder, a line of JSON for each request and each answer. Without a word from the
operator's machine for two minutes, the run ends; writes are never held for longer than two seconds.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from moorage.images.asked import Asked
from moorage.images.collector import Collector, Places, StopError, say, warn
from moorage.images.hold import Hold, clear, condemn, pardon
from moorage.images.task import Task, read_task

SILENCE = 120.0
"""Seconds without a request after which the operator's machine counts as gone."""
DRAIN = 0.4
"""Seconds for which writes that nginx passed on before the hold get to finish."""
_SOCKET = "control.sock"
_BLOCK = 1 << 16
_WRITE = re.compile(
    rb"^[^\t]*\t[^\t]*\t2[0-9]{2}\t(?:PUT|POST|DELETE)\t"
    rb"/v2/([a-z0-9._/-]+)/(blobs|manifests)/([^\t]*)\t(.*)$",
    re.MULTILINE,
)
_DIGEST = re.compile(rb"(?:sha256|sha512)(?::|%3[Aa])[0-9a-f]{64,128}")


class Requests(Asked):
    """The reads and writes of clients, from nginx's log.

    Attributes:
        written: Repositories, with a digest or tag of each write. Digests of manifests begin with
            `@`; `*` stands for a manifest whose digest is not known.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.written: set[tuple[str, str]] = set()

    def _take(self, lines: bytes) -> None:
        super()._take(lines)
        for repository, kind, rest, fields in _WRITE.findall(lines):
            name = repository.decode()
            digests = {
                each.decode().replace("%3A", ":").replace("%3a", ":")
                for each in _DIGEST.findall(rest + fields.rpartition(b"\t")[2])
            }
            if kind == b"manifests":
                self.written.add((name, re.split(rb"[?]", rest)[0].decode("ascii", "replace")))
                digests = {f"@{each}" for each in digests} or {"*"}
            self.written |= {(name, digest) for digest in digests}


class Gate(Collector):
    """A run that takes part in a change of images in a bucket."""

    def __init__(self, places: Places, task: Task) -> None:
        super().__init__(places, task)
        self._told: dict[str, set[tuple[str, str]]] = {"asked": set(), "written": set()}
        self._has_ended = False

    def _work(self) -> None:
        self._step("recheck")
        self._check_server()
        clear(self.places.web)
        self._requests = Requests(self.places.log)
        path = self.places.run / _SOCKET
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                listener.listen(1)
                listener.settimeout(SILENCE)
                with listener.accept()[0] as connection:
                    self._serve(_Lines(connection))
        except socket.timeout as error:
            raise StopError("failed", "images_operator_gone") from error
        finally:
            path.unlink(missing_ok=True)
            clear(self.places.web)

    def _check_marker(self) -> None:
        """Check nothing: a bucket has no marker."""

    def _check_store(self, config: str) -> None:
        for name, value in (("bucket", self.task.store), ("rootdirectory", self.task.root)):
            found = re.search(rf"^    {name}: (.*)$", config, re.MULTILINE)
            if (found[1].strip("'\"").strip("/") if found else "") != value:
                raise StopError("failed", "changed_meanwhile", "config.yml")

    def _serve(self, lines: _Lines) -> None:
        while not self._has_ended:
            request = lines.receive(time.monotonic() + SILENCE)
            if request is None:
                raise StopError("failed", "images_operator_gone")
            if request["do"] == "hold":
                self._hold(lines, request)
            else:
                lines.send(self._reply(self._answer(request)))

    def _reply(self, values: dict[str, Any]) -> dict[str, Any]:
        is_cancelled = self._is_cancelled or (self.places.run / "abort").exists()
        return {**values, "cancelled": is_cancelled}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        what = request["do"]
        if what == "step":
            self._step(request["name"], can_stop=False)
        elif what == "say":
            say(request["text"])
        elif what == "warn":
            warn(request["text"])
        elif what == "requests":
            return self._news()
        elif what == "unlock":
            self._unlock("apply")
        elif what == "lock":
            return {"locked": self._locks_again()}
        elif what == "finish":
            self._end(request)
        return {}

    def _locks_again(self) -> bool:
        try:
            self._lock("apply", self.places.state / "lock")
        except StopError:
            return False
        (self.places.state / "current").write_text(f"{self.places.run.name}\n")
        # Other runs can have changed the server meanwhile.
        self._check_server()
        return True

    def _end(self, request: dict[str, Any]) -> None:
        self._has_ended = True
        self._numbers.update(request["numbers"])
        if request["status"] != "done":
            raise StopError(request["status"], request["code"], *request["values"])

    def _news(self) -> dict[str, Any]:
        """Return what clients asked for and wrote since this was last told."""
        asked = self._requests.read()
        found = {}
        for name, now in (("asked", asked), ("written", self._requests.written)):
            found[name] = sorted(now - self._told[name])
            self._told[name] |= now
        return found

    def _hold(self, lines: _Lines, request: dict[str, Any]) -> None:
        """Hold writes until the operator's machine lets them through, or time is up."""
        self._requests.read()
        condemn(self.places.web, (tuple(each) for each in request["condemned"]))
        hold, released = Hold(self.places.web), None
        try:
            with hold:
                time.sleep(DRAIN)
                lines.send(self._reply(self._news()))
                released = lines.receive(hold.deadline)
                in_time = released is not None and time.monotonic() <= hold.deadline
        finally:
            pardon(self.places.web)
        if released is None:
            released = lines.receive(time.monotonic() + SILENCE)
        if released is None:
            raise StopError("failed", "images_operator_gone")
        lines.send(self._reply({"in_time": in_time, "held": hold.held}))


class _Lines:
    """A connection on which lines of JSON are exchanged."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def send(self, values: dict[str, Any]) -> None:
        self._connection.settimeout(SILENCE)
        self._connection.sendall(json.dumps(values).encode() + b"\n")

    def receive(self, until: float) -> dict[str, Any] | None:
        """Return the next request; None if none came in time, or the other side is gone."""
        while b"\n" not in self._rest:
            self._connection.settimeout(max(0.001, until - time.monotonic()))
            try:
                data = self._connection.recv(_BLOCK)
            except OSError:
                return None
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return dict(json.loads(line))


def connect(folder: str) -> int:
    """Pass requests from standard input on to a run, and its answers to standard output.

    Args:
        folder: The run's folder.

    Returns:
        0 if the run was reached and has ended.
    """
    run = Path(folder)
    with socket.socket(socket.AF_UNIX) as connection:
        for _ in _every(0.05):
            try:
                connection.connect(str(run / _SOCKET))
                break
            except OSError:
                if (run / "result").exists() or not run.exists():
                    return 1
        threading.Thread(target=_pass_on, args=(sys.stdin.buffer, connection), daemon=True).start()
        while data := connection.recv(_BLOCK):
            os.write(1, data)
    return 0


def _pass_on(source: BinaryIO, connection: socket.socket) -> None:
    while line := source.readline():
        connection.sendall(line)
    connection.shutdown(socket.SHUT_RDWR)


def _every(seconds: float) -> Iterator[None]:
    while True:
        yield
        time.sleep(seconds)


def main(folder: str) -> int:
    """Run until the operator's machine has finished.

    Args:
        folder: The run's folder, with `task.json`.
    """
    os.umask(0o022)
    run = Path(folder)
    Gate(Places(run), read_task(run / "task.json")).run()
    return 0
