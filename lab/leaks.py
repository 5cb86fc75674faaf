"""Watches a test for secrets that turn up where they must not be."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from lab.errors import LabError
from lab.server import LabServer

INTERVAL = 0.3
"""Seconds between two looks at the processes."""

LOGIN_USER_IDS = range(1000, 60_000)
"""Accounts of people: whoever logs in as one of them reads its processes' environments."""

MEMORY_FOLDERS = ("/run", "/tmp", "/dev/shm")
"""Folders of a running server that are not on its disk."""


@dataclass(frozen=True)
class _Secret:
    label: str
    content: bytes
    allowed: tuple[str, ...]


class LeakWatch:
    """Looks for secrets in process lists, in what servers wrote, and in local files.

    Only the label of a secret is ever shown.

    Args:
        servers: Returns the servers to look at.
        interval: Seconds between two looks at the processes.
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
        """Register a secret; from now on the processes are watched for it.

        Args:
            secret: What must not turn up; at least 6 characters, or it would be found by chance.
            allowed: Paths (fnmatch patterns) where it may be: in a server, or local ones.
            label: What to call it in a failure.

        Raises:
            ValueError: It is too short.
        """
        if len(secret) < 6:
            raise ValueError("a secret shorter than 6 characters is found by chance")
        label = label or f"secret {len(self._secrets) + 1}"
        self._secrets.append(_Secret(label, secret.encode(), tuple(allowed)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def watch_path(self, path: Path) -> None:
        """Look into a local file or folder as well, when the test ends.

        Args:
            path: The file or folder.
        """
        self._local.append(path)

    def watch_output(self, name: str, text: str | bytes) -> None:
        """Look into an output as well.

        Args:
            name: What to call it in a failure.
            text: The output.
        """
        self._outputs.append((name, text.encode() if isinstance(text, str) else text))

    def stop(self) -> None:
        """Stop watching the processes."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def findings(self) -> list[str]:
        """Stop watching and say where secrets turned up, in no more than a line each."""
        self.stop()
        found = set(self._seen)
        if self._secrets:
            for path in self._local:
                found |= self._search_folder(path, "", "here")
            for name, text in self._outputs:
                found |= {f"{s.label} in {name}" for s in self._secrets if s.content in text}
            for server in self._servers():
                found |= self._search_server(server)
        return sorted(found)

    def check(self) -> None:
        """Fail when a secret turned up.

        Raises:
            AssertionError: One did; says where.
        """
        found = self.findings()
        if found:
            raise AssertionError("secrets leaked:\n" + "\n".join(f"  {line}" for line in found))

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.look_at_processes()
            self._ended.wait(self._interval)

    def look_at_processes(self) -> None:
        """Look once at every argument list, and at environments that others can read."""
        spaces = {server.process_space(): server.name for server in self._servers()}
        secrets = list(self._secrets)
        # Without Path: there are hundreds of processes, three times a second.
        for number in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
            process = f"/proc/{number}"
            try:
                arguments = _read(f"{process}/cmdline").replace(b"\0", b" ")
                if not arguments:
                    continue  # The kernel's own.
                self._note(secrets, arguments, "arguments", process)
                server = spaces.get(os.readlink(f"{process}/ns/pid"))  # noqa: PTH115
                if server is None or os.stat(process).st_uid not in LOGIN_USER_IDS:  # noqa: PTH116
                    continue
                environment = _read(f"{process}/environ")
            except OSError:
                continue  # It has ended meanwhile.
            self._note(secrets, environment, "environment", process, f" on {server}")

    def _note(
        self, secrets: Sequence[_Secret], content: bytes, part: str, process: str, where: str = ""
    ) -> None:
        for secret in secrets:
            if secret.content in content:
                program = _read(f"{process}/comm").decode(errors="replace").strip()
                self._seen.add(f"{secret.label} in the {part} of {program}{where}")

    def _search_server(self, server: LabServer) -> set[str]:
        found: set[str] = set()
        for target, folder in server.changed_folders.items():
            found |= self._search_folder(folder, target.rstrip("/"), server.name)
        if server.is_on():
            for target in MEMORY_FOLDERS:
                found |= self._search_folder(server.inside(target), target, server.name)
            try:
                journal = server.run("journalctl --quiet --no-pager --output=export").stdout
            except LabError:
                journal = ""
            lines = journal.encode()
            found |= {
                f"{s.label} in the journal on {server.name}"
                for s in self._secrets
                if s.content in lines and "journal" not in s.allowed
            }
        return found

    def _search_folder(self, folder: Path, shown_as: str, server: str) -> set[str]:
        """Search all files of a folder.

        Args:
            folder: Where it is on this machine.
            shown_as: Its path in the server; empty for a local folder or the server's root.
            server: The server's name.
        """
        patterns = b"\n".join(
            line for secret in self._secrets for line in secret.content.splitlines() if line
        )
        # The journal is packed; journalctl reads it.
        options = ["-rlZF", "--devices=skip", "--exclude-dir=journal"]
        grep = ["grep", *options, "-f", "-", "--", str(folder)]
        listing = subprocess.run(grep, input=patterns, capture_output=True, check=False).stdout
        found: set[str] = set()
        for name in filter(None, listing.split(b"\0")):
            path = Path(name.decode(errors="surrogateescape"))
            local = server == "here"
            place = str(path) if local else f"{shown_as}/{path.relative_to(folder)}"
            try:
                content = path.read_bytes()
            except OSError:
                continue
            found |= {
                f"{s.label} in {place} ({server})"
                for s in self._secrets
                if s.content in content and not any(fnmatch(place, p) for p in s.allowed)
            }
        return found


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.readall()
