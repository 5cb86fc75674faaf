"""Hold the registry's writes for a moment.

nginx does it (templates/nginx/collect.conf.j2): it looks for files in its runtime folder. While the
file `hold` exists, it asks the socket `release.sock` before it passes a write on, and passes it on
after two seconds in any case, or at once if nothing listens there. So nothing depends on this
process: if it is killed, nothing is held any longer.

Requests whether something exists (HEAD) are held, too, if it is being moved: after the answer that
it exists, a client would not upload it.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

LONGEST = 1.7
"""Seconds within which files must be moved: less than nginx holds writes, which is two seconds."""
_REQUEST = b"GET /_moorage_holds HTTP/1.0\r\nHost: moorage\r\n\r\n"
_RELEASED = b"HTTP/1.0 204 No Content\r\n\r\n"


def can_hold(folder: Path) -> bool:
    """Return whether nginx runs with a configuration that holds writes.

    Args:
        folder: nginx's runtime folder.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(folder / "held.sock"))
            connection.sendall(_REQUEST)
            return b" 204 " in connection.recv(64)
    except OSError:
        return False


class Hold:
    """Holds writes while the context is entered.

    Attributes:
        deadline: When to have finished, by `time.monotonic`.
        held: The number of writes that waited.

    Args:
        folder: nginx's runtime folder.
    """

    def __init__(self, folder: Path) -> None:
        self.deadline = 0.0
        self.held = 0
        self._file = folder / "hold"
        self._path = folder / "release.sock"
        self._socket = socket.socket(socket.AF_UNIX)
        self._waiting: list[socket.socket] = []
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Hold:
        self._path.unlink(missing_ok=True)
        self._socket.bind(str(self._path))
        # The folder belongs to nginx, and no other account can enter it.
        self._path.chmod(0o666)
        self._socket.listen(4096)
        self._socket.settimeout(0.05)
        self._thread.start()
        self.deadline = time.monotonic() + LONGEST
        try:
            self._file.touch()
        except OSError:
            self._release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._release()

    def _release(self) -> None:
        self._file.unlink(missing_ok=True)
        self._released.set()
        self._thread.join()
        for connection in self._waiting:
            _let_through(connection)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while not self._released.is_set():
            try:
                connection, _ = self._socket.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            self.held += 1
            self._waiting.append(connection)


def _let_through(connection: socket.socket) -> None:
    try:
        connection.settimeout(0.2)
        connection.recv(4096)
        connection.sendall(_RELEASED)
    except OSError:
        pass  # nginx lets it through then.
    finally:
        connection.close()


def condemn(folder: Path, places: Iterable[tuple[str, str]]) -> None:
    """Let the next hold include requests whether something exists.

    Args:
        folder: nginx's runtime folder.
        places: Repositories, with a digest or a tag of each.

    Raises:
        OSError: There is no room for so many files.
    """
    pardon(folder)
    root = folder / "condemned.new"
    root.mkdir(mode=0o755)
    made: set[str] = set()
    for repository, reference in places:
        if repository not in made:
            _make_folder(root, repository)
            made.add(repository)
        (root / repository / f"_{reference}").touch(mode=0o644)
    root.rename(folder / "condemned")


def _make_folder(root: Path, repository: str) -> None:
    for part in repository.split("/"):
        root = root / part
        root.mkdir(mode=0o755, exist_ok=True)


def pardon(folder: Path) -> None:
    """Undo :func:`condemn`.

    Args:
        folder: nginx's runtime folder.
    """
    condemned = folder / "condemned"
    if condemned.exists():
        gone = condemned.with_name(f"condemned.{os.getpid()}")
        condemned.rename(gone)
        shutil.rmtree(gone)


def clear(folder: Path) -> None:
    """Remove what a killed run has left.

    Args:
        folder: nginx's runtime folder.
    """
    for name in ("hold", "release.sock"):
        (folder / name).unlink(missing_ok=True)
    for left in folder.glob("condemned.*"):
        shutil.rmtree(left, ignore_errors=True)
    pardon(folder)
