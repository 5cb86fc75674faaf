"""Watch a test for leaked secrets."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from lab.errors import LabError
from lab.server import LabServer

INTERVAL = 0.3
"""Seconds between two checks of the processes."""

LOGIN_USER_IDS = range(1000, 60_000)
"""Accounts of people, who can read the environments of their own processes."""

KEPT = re.compile(r"^.*/deployments/\d{8}T\d{9}-[0-9a-f]{4}/files(?=/)")
"""Where files are kept as they were; only root can enter it."""

MEMORY_FOLDERS = ("/run", "/tmp", "/dev/shm")
"""Folders of a running server that are not on its disk."""


@dataclass(frozen=True)
class _Secret:
    label: str
    content: bytes
    allowed: tuple[str, ...]


class LeakWatch:
    """Looks for secrets in process lists, in files on servers, and in local files.

    Failures show only a secret's label.

    Args:
        servers: Returns the servers to check.
        interval: Seconds between two checks of the processes.
    """

    def __init__(
        self, servers: Callable[[], Sequence[LabServer]], *, interval: float = INTERVAL
    ) -> None:
        self._servers = servers
        self._interval = interval
        self._secrets: list[_Secret] = []
        self._local: list[Path] = []
        self._outputs: list[tuple[str, bytes]] = []
        self._seen: set[str] = set()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, secret: str, allowed: Sequence[str] = (), *, label: str | None = None) -> None:
        """Register a secret and start watching processes for it.

        Args:
            secret: The secret; at least 6 characters, to avoid accidental matches.
            allowed: Paths (fnmatch patterns), on servers or local, that can contain it.
            label: Its name in failures.

        Raises:
            ValueError: It is too short.
        """
        if len(secret) < 6:
            raise ValueError("a secret shorter than 6 characters matches by accident")
        label = label or f"secret {len(self._secrets) + 1}"
        self._secrets.append(_Secret(label, secret.encode(), tuple(allowed)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def watch_path(self, path: Path) -> None:
        """Also search a local file or folder at the end of the test.

        Args:
            path: The file or folder.
        """
        self._local.append(path)

    def watch_output(self, name: str, text: str | bytes) -> None:
        """Also search an output.

        Args:
            name: Its name in failures.
            text: The output.
        """
        self._outputs.append((name, text.encode() if isinstance(text, str) else text))

    def stop(self) -> None:
        """Stop watching the processes."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def findings(self) -> list[str]:
        """Stop watching and return where secrets were found, a line each."""
        self.stop()
        found = set(self._seen)
        if self._secrets:
            local = {path: str(path) for path in self._local}
            found |= self._search_folders(local, "here") if local else set()
            for name, text in self._outputs:
                found |= {f"{s.label} in {name}" for s in self._secrets if s.content in text}
            for server in self._servers():
                found |= self._search_server(server)
        return sorted(found)

    def check(self) -> None:
        """Fail if a secret leaked.

        Raises:
            AssertionError: With the places where secrets were found.
        """
        found = self.findings()
        if found:
            raise AssertionError("secrets leaked:\n" + "\n".join(f"  {line}" for line in found))

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.look_at_processes()
            self._ended.wait(self._interval)

    def look_at_processes(self) -> None:
        """Check all argument lists, and the environments of login users' processes, once."""
        spaces = {server.process_space(): server.name for server in self._servers()}
        secrets = list(self._secrets)
        # os is faster than Path here: hundreds of processes, three times a second.
        for number in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
            process = f"/proc/{number}"
            try:
                arguments = _read(f"{process}/cmdline").replace(b"\0", b" ")
                if not arguments:
                    continue  # A kernel thread.
                self._note(secrets, arguments, "arguments", process)
                # Few processes are of a login user, and the name of a namespace is dear.
                if os.stat(process).st_uid not in LOGIN_USER_IDS:  # noqa: PTH116
                    continue
                server = spaces.get(os.readlink(f"{process}/ns/pid"))  # noqa: PTH115
                if server is None:
                    continue
                environment = _read(f"{process}/environ")
            except OSError:
                continue  # It has ended in the meantime.
            self._note(secrets, environment, "environment", process, f" on {server}")

    def _note(
        self, secrets: Sequence[_Secret], content: bytes, part: str, process: str, where: str = ""
    ) -> None:
        for secret in secrets:
            if secret.content in content:
                program = _read(f"{process}/comm").decode(errors="replace").strip()
                self._seen.add(f"{secret.label} in the {part} of {program}{where}")

    def _search_server(self, server: LabServer) -> set[str]:
        """Search what a server wrote to its disk, to its memory and to its journal."""
        folders = {folder: place.rstrip("/") for place, folder in server.changed_folders.items()}
        if not server.is_on():
            return self._search_folders(folders, server.name)
        folders |= {server.inside(place): place for place in MEMORY_FOLDERS}
        found = self._search_folders(folders, server.name)
        try:
            journal = server.run("journalctl --quiet --no-pager --output=export").stdout
        except LabError:
            journal = ""
        lines = journal.encode()
        return found | {
            f"{s.label} in the journal on {server.name}"
            for s in self._secrets
            if s.content in lines and "journal" not in s.allowed
        }

    def _search_folders(self, folders: Mapping[Path, str], where: str) -> set[str]:
        """Search all files of folders.

        Args:
            folders: The folders' paths on this machine, and how findings show them.
            where: What findings call the machine.
        """
        patterns = b"\n".join(
            line for secret in self._secrets for line in secret.content.splitlines() if line
        )
        # Journal files are compressed; they are searched through journalctl.
        options = ["-rlZF", "--devices=skip", "--exclude-dir=journal"]
        grep = ["grep", *options, "-f", "-", "--", *map(str, folders)]
        listing = subprocess.run(grep, input=patterns, capture_output=True, check=False).stdout
        found: set[str] = set()
        for name in filter(None, listing.split(b"\0")):
            path = Path(name.decode(errors="surrogateescape"))
            folder = next(each for each in (path, *path.parents) if each in folders)
            shown = f"{folders[folder]}{str(path).removeprefix(str(folder))}"
            try:
                content = path.read_bytes()
            except OSError:
                continue
            found |= {
                f"{s.label} in {shown} ({where})"
                for s in self._secrets
                if s.content in content
                and not any(fnmatch(KEPT.sub("", shown), pattern) for pattern in s.allowed)
            }
        return found


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.readall()
