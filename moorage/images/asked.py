"""Find out from nginx's log what clients asked for: it is needed, or soon will be.

A client that was told that a layer exists does not upload it, and refers to it later.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_LINE = re.compile(
    rb"^[^\t]*\t[^\t]*\t[23][0-9]{2}\t(?:GET|HEAD)\t"
    rb"/v2/([a-z0-9._/-]+)/(?:blobs|manifests)/([A-Za-z0-9._:-]+)[?\t]",
    re.MULTILINE,
)
_CHUNK = 1 << 22


class LogLostError(Exception):
    """A part of the log is gone, so it is not known what was asked for."""


class Asked:
    """Follows the log from its present end on, also when it is rotated.

    Args:
        path: The log.

    Raises:
        OSError: There is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: set[tuple[str, str]] = set()
        self._files = [path.open("rb")]
        self._files[0].seek(0, os.SEEK_END)
        self._rest = [b""]

    def read(self) -> set[tuple[str, str]]:
        """Return what was asked for so far: repositories, with a digest or tag of each.

        Raises:
            LogLostError: The log was truncated, or rotated more than once since the last time.
        """
        self._follow_rotation()
        for number, file in enumerate(self._files):
            if os.fstat(file.fileno()).st_size < file.tell():
                raise LogLostError
            for lines in self._lines(number, file):
                self._take(lines)
        return self._found

    def _take(self, lines: bytes) -> None:
        for repository, reference in _LINE.findall(lines):
            self._found.add((repository.decode(), reference.decode()))

    def _follow_rotation(self) -> None:
        latest = os.fstat(self._files[-1].fileno()).st_ino
        if self._path.stat().st_ino == latest:
            return
        before = self._path.with_name(f"{self._path.name}.1")
        if not before.exists() or before.stat().st_ino != latest:
            raise LogLostError
        # nginx can write to the former one for a moment.
        self._files.append(self._path.open("rb"))
        self._rest.append(b"")

    def _lines(self, number: int, file: IO[bytes]) -> Iterator[bytes]:
        while chunk := file.read(_CHUNK):
            lines, _, rest = (self._rest[number] + chunk).rpartition(b"\n")
            self._rest[number] = rest
            yield lines + b"\n"
