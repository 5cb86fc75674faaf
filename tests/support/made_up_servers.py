"""Fake servers for the command line: they answer probes and runs like a fresh Debian.

They provide outcomes that are hard to provoke on real servers, which tests/lab uses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from probe_answer import probe_answer

from moorage.answers.model import Server
from moorage.errors import CannotConnect
from moorage.servers.transport import Asker, Cancel, Completed, Exchange, HostKey, Resolve
from templates.load import shell_script

FINGERPRINT = "SHA256:" + "A" * 43


@dataclass
class FakeServer:
    """A fake server.

    Attributes:
        refuses: Whether it refuses logins, or the code of the error.
        has_unknown_key: Whether its host key has to be accepted first.
        extra_facts: Additional lines of the probe's output.
        files: The content of existing managed files, by path.
        log: A run's output before its result.
        result: A run's result.
        waits: Whether a run continues until it is aborted or the fleet ends.
    """

    refuses: bool | str = False
    has_unknown_key: bool = False
    extra_facts: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    log: str = "@step\t1\tpackages\nSetting up nginx\n"
    result: str = "@result\tdone\t\n"
    waits: bool = False
    runs: int = 0
    connections: int = 0
    has_begun: threading.Event = field(default_factory=threading.Event)


class Fleet:
    """Fake servers by host; by default, each is a fresh Debian."""

    def __init__(self) -> None:
        self.servers: dict[str, FakeServer] = {}
        self.opened: list[Server] = []
        self.is_over = threading.Event()

    def __getitem__(self, host: str) -> FakeServer:
        return self.servers.setdefault(host, FakeServer())

    def end(self) -> None:
        """End all runs."""
        self.is_over.set()

    def open_transport(self, server: Server, asker: Asker, resolve: Resolve) -> Any:
        """Replace :func:`moorage.servers.connect.open_transport`."""
        self[server.host].connections += 1
        self.opened.append(server)
        return FakeTransport(server.host, self[server.host], asker, self.is_over)


class FakeTransport:
    """A connection to a fake server."""

    def __init__(
        self, host: str, server: FakeServer, asker: Asker, is_over: threading.Event
    ) -> None:
        self.server = host
        self._made_up = server
        self._asker = asker
        self._is_over = is_over
        self._was_told = threading.Event()

    @property
    def public_address(self) -> str:
        return "192.0.2.7"

    def connect(self) -> None:
        key = HostKey(self.server, self.server, "ssh-ed25519", FINGERPRINT)
        if self._made_up.refuses:
            code = self._made_up.refuses if isinstance(self._made_up.refuses, str) else None
            raise CannotConnect("No answer.", advice="Try later.", server=self.server, code=code)
        if self._made_up.has_unknown_key and not self._asker.accept_host_key(key):
            raise CannotConnect(
                f"The host key is not known: {FINGERPRINT}.",
                server=self.server,
                code="host_key_unknown",
            )

    def run(
        self,
        script: str,
        *,
        payload: bytes | Iterable[bytes] = b"",
        on_stdout: Callable[[bytes], None] | None = None,
        on_start: Callable[[Exchange], None] | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        cancel: Cancel | None = None,
    ) -> Completed:
        sent = payload if isinstance(payload, bytes) else b"".join(payload)
        assert sent
        assert on_stdout is not None
        if script.endswith(shell_script("probe.sh")):
            on_stdout(probe_answer(self._made_up.extra_facts, self._made_up.files))
            return Completed(0, b"", b"")
        self._made_up.runs += 1
        told: list[bytes] = []

        def send(word: bytes) -> None:
            told.append(word)
            self._was_told.set()

        if on_start is not None:
            on_start(Exchange(send))
        on_stdout(self._made_up.log.encode())
        self._made_up.has_begun.set()
        if b"plan/settings" in sent and b"gate\twait" in sent:
            on_stdout(b"@staged\n")
            self._was_told.wait(30)
        deadline = time.monotonic() + 20
        while self._made_up.waits and b"abort\n" not in told and not self._is_over.is_set():
            assert time.monotonic() < deadline, "the run was not aborted"
            self._was_told.wait(0.05)
            self._was_told.clear()
        result = self._made_up.result.encode()
        if b"abort\n" in told:
            result = b"@result\tfailed\tit was cancelled\n"
        elif b"keep\twait" in sent and result.startswith(b"@result\tdone"):
            on_stdout(b"@committed\n")
            while not {b"keep\n", b"undo\n"} & set(told):
                assert time.monotonic() < deadline, "no decision whether to keep the change"
                self._was_told.wait(0.05)
                self._was_told.clear()
            if b"undo\n" in told:
                result = b"@result\tundone\tit was undone\n"
        on_stdout(result)
        return Completed(0, b"", b"")

    def close(self) -> None:
        pass
