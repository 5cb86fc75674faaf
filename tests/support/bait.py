"""A hostile deployment.json, and a watch for programs, files and connections that it triggers.

Tests use the record in this process, with an audit hook, and in calls of the command line, where
:data:`SITE` installs the hook.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from moorage.desired import layout

WORD = "baited"
"""Part of the name of every file, program and host that only the record names."""

SITE = f"""\
import os, sys

def _hook(event, arguments):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        what = repr(arguments)
    elif event in ("open", "socket.connect", "socket.getaddrinfo", "os.listdir"):
        what = repr(arguments)
        to_port = event != "open" and os.environ["BAIT_PORT"] in what
        if "{WORD}" not in what and not to_port:
            return
    else:
        return
    with open(os.environ["BAIT_LOG"], "a") as log:
        print(event, what, file=log)

sys.addaudithook(_hook)
"""
"""The begin of a program that logs all started programs and all uses of the bait."""

_STARTS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"}
_LOOKS = {"open", "socket.connect", "socket.getaddrinfo", "os.listdir", "os.scandir"}


@dataclass
class Bait:
    """Files and a port for a record to name.

    Attributes:
        folder: The folder of the files.
        port: A port of this machine.
        connections: The number of connections to the port.
    """

    folder: Path
    port: int = 0
    connections: int = 0
    _listener: socket.socket = field(default_factory=socket.socket)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("secret", "key.pem", "hook.sh", "image.tar", "id_ed25519"):
            self.path(name).write_text("#!/bin/sh\nbait\n")
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        """Stop counting."""
        self._listener.close()

    def path(self, name: str) -> Path:
        """Return a file that only the record names."""
        return self.folder / f"{WORD}-{name}"

    @property
    def is_untouched(self) -> bool:
        """Whether no command ran and no connection was opened."""
        return not self.path("ran").exists() and self.connections == 0

    def answers(self, *servers: dict[str, Any]) -> dict[str, Any]:
        """Return answers that name something to resolve, open or connect to wherever possible.

        Args:
            servers: Servers of the deployment besides the one with this record.
        """
        command = {"command": ["touch", str(self.path("ran"))]}
        file = {"file": str(self.path("secret"))}
        login = {
            "key": str(self.path("id_ed25519")), "passphrase": command, "password": file,
            "sudo_password": command, "jump": f"root@127.0.0.1:{self.port}",
        }  # fmt: skip
        return {
            "version": 1,
            "ask": ["ssl"],
            "registry": {
                "domain": "registry.example.test",
                "image_archive": str(self.path("image.tar")),
                "environment": {"REGISTRY_LOG_FIELDS_A": command},
            },
            "servers": [{**login, **server} for server in servers],
            "credentials": {
                "users": [
                    {"name": "ci", "access": "push", "password": command},
                    {"name": "ana", "access": "pull", "password": {"env": "CI_PW"}},
                ]
            },
            "storage": {
                "driver": "s3",
                "s3": {
                    "bucket": "images", "region": "eu", "accesskey": command, "secretkey": file,
                    "regionendpoint": f"http://127.0.0.1:{self.port}",
                },
            },
            "dns": {
                "provider": "rfc2136", "nameservers": [f"127.0.0.1:{self.port}"],
                "rfc2136": {"server": "127.0.0.1", "port": self.port,
                            "key_name": "bait", "key": command},
            },
            "ssl": {
                "mode": "files",
                "files": {"certificate": str(self.path("key.pem")),
                          "key": str(self.path("key.pem"))},
                "private_ca": {"passphrase": command},
                "acme": {"ca_file": str(self.path("key.pem"))},
            },
            "hooks": [{"name": "told", "script": str(self.path("hook.sh")),
                       "when": ["before_apply", "after_users"]}],
        }  # fmt: skip

    def record(self, host: str, *others: dict[str, Any], **more: Any) -> bytes:
        """Return the deployment.json of a server.

        Args:
            host: The server.
            others: More servers of the deployment.
            more: Additional entries.
        """
        value = {
            "version": 1, "moorage": "0.1.0\x1b]0;bait\x07", "run": "../../x", "server": host,
            "deployed_at": "9999-12-31T23:59:59+00:00", "domain": "registry.example.test",
            "registry_version": "2.8.2\x9b31m[red]",
            "answers": self.answers({"host": host}, *others),
            "users": {"revision": 1, "declared": ["ci"], "missed": []}, "digests": {}, **more,
        }  # fmt: skip
        return json.dumps(value).encode()


@contextmanager
def watched(port: int) -> Iterator[list[str]]:
    """List the programs that start, and the uses of the bait, during the block.

    Args:
        port: The bait's.
    """
    _install()
    seen: list[str] = []
    marks = (WORD, f", {port})", f"port={port}")

    def note(event: str, what: str) -> None:
        if event in _STARTS or any(mark in what for mark in marks):
            seen.append(f"{event} {what}")

    _notes.append(note)
    try:
        yield seen
    finally:
        _notes.remove(note)


_notes: list[Callable[[str, str], None]] = []


@cache
def _install() -> None:
    # Audit hooks cannot be removed; this one costs little while no test watches.
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _notes and event in _STARTS | _LOOKS:
        what = repr(arguments)
        for note in list(_notes):
            note(event, what)


DEPLOYED = {layout.UPSTREAM: b"server 127.0.0.1:5101;\n"}
"""The other files of a server with a registry."""
