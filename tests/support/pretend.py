"""The wizard with its own home folder, and fake servers.

tests/lab tests on real servers. Fake servers are for states that are hard to provoke: unreachable,
unknown, slow, hostile or in the middle of a run.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import settling  # noqa: F401 # lets Pilot wait as it does
from probe_answer import probe_answer
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect, MoorageError, SecretName
from moorage.servers.sudo import password_wrong
from moorage.servers.transport import (
    Asker,
    Cancel,
    Completed,
    Exchange,
    HostKey,
    LoginAsker,
    LoginRequest,
)
from templates.load import shell_script
from tui.app import WizardApp

SIZES = [(80, 24), (120, 40)]


_opening = threading.local()
"""The asker of the connection that a thread opens: one server can be read by several at a time."""


@dataclass
class PretendServer:
    """A fake server as a transport.

    Attributes:
        server: Its label.
        fault: The error that connecting raises.
        unknown_key: Whether its host key has to be accepted.
        login: The error for a login without a known key.
        password: The login password; None accepts any.
        logged_in: The password that was entered.
        sudo_password: The sudo password, if sudo asks for one.
        slow: An event that connecting waits for, if it is to hang.
        extra_facts: Additional lines of the probe's output.
        log: The log of a run.
        aborted: Whether a run was aborted.
        waits_for_abort: Whether a run continues until it is aborted.
    """

    server: str
    fault: MoorageError | None = None
    unknown_key: bool = False
    login: LoginRequest | None = None
    password: str | None = None
    logged_in: Secret | Path | None = None
    sudo_password: str | None = None
    slow: threading.Event | None = None
    extra_facts: str = ""
    log: bytes = b"@step\t0\trecheck\n@result\tdone\tok\n"
    aborted: threading.Event = field(default_factory=threading.Event)
    waits_for_abort: bool = False
    connected: int = 0
    closed: int = 0

    @property
    def public_address(self) -> str:
        return "127.0.0.1"

    @property
    def asker(self) -> Asker:
        """The asker of the connection that this thread opens."""
        asker: Asker = _opening.asker
        return asker

    def connect(self) -> None:
        self.connected += 1
        if self.slow is not None:
            self.slow.wait(30)
        if self.unknown_key and not self.asker.accept_host_key(
            HostKey(self.server, self.server, "ssh-ed25519", "SHA256:abc[b]def")
        ):
            raise CannotConnect("Its host key was not accepted.", server=self.server)
        if self.login is not None:
            assert isinstance(self.asker, LoginAsker)
            self.logged_in = self.asker.login(self.login)
            if self.logged_in is None:
                raise CannotConnect("The login as root was refused.", server=self.server)
            if self.password is not None and self.logged_in != Secret(self.password):
                raise CannotConnect(
                    "The login as root was refused; tried: a password.",
                    server=self.server,
                    code="login_refused",
                    refused=self.login.what,
                )
        if self.fault is not None:
            raise self.fault
        if self.sudo_password is not None:
            given = self.asker.secret(SecretName("sudo_password", "admin"), self.server)
            if given is None or given != Secret(self.sudo_password):
                raise password_wrong("admin", self.server)

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
        if script.endswith(shell_script("probe.sh")):
            answer = probe_answer(self.extra_facts)
            if on_stdout is None:
                return Completed(0, answer, b"")
            on_stdout(answer)
            return Completed(0, b"", b"")
        assert on_stdout is not None
        if not isinstance(payload, bytes):
            b"".join(payload)
        if on_start is not None:
            on_start(Exchange(self._hear))
        on_stdout(self.log)
        if self.waits_for_abort:
            assert self.aborted.wait(600), "the run was not aborted"
            on_stdout(b"@step\t0\trollback\n@result\tcancelled\tit was cancelled\n")
        return Completed(0, b"", b"")

    def _hear(self, word: bytes) -> None:
        if word == b"abort\n":
            self.aborted.set()

    def close(self) -> None:
        self.closed += 1
        if self.slow is not None:
            self.slow.set()


class PretendConnection:
    """A connection to a fake server.

    Args:
        server: The server.
        asker: Asks for host keys and secrets.
    """

    def __init__(self, server: PretendServer, asker: Asker) -> None:
        self._server = server
        self._asker = asker

    def connect(self) -> None:
        """Connect as the operator whom this connection's asker asks."""
        _opening.asker = self._asker
        self._server.connect()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


class Wizard:
    """Drives the wizard with the keyboard."""

    def __init__(self, app: WizardApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys and wait until the wizard is idle."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type text, as fast as terminals send it."""
        for character in text:
            key = character if character.isalnum() else _character_to_key(character)
            self.app.post_message(Key(key, character))
        await self.pilot.pause()
        await self.until(lambda: not self.app._typed_keys, f"{text} is typed")
        await self.pilot.pause()

    @property
    def text(self) -> str:
        """The text on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    async def see(self, *wanted: str, seconds: float = 60) -> None:
        """Wait until all of these texts are on the screen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.app._exception is None:
            await self.pilot.pause()
            if all(each in self.text for each in wanted):
                return
            await asyncio.sleep(0.02)
        missing = [each for each in wanted if each not in self.text]
        raise AssertionError(f"{missing} is not on the screen:\n{self.text}")

    async def until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait for a condition that is not visible on the screen."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"timed out waiting until {what}:\n{self.text}"
            await self.pilot.pause(0.02)

    async def new_with_server(self, host: str = "server1.example.com") -> None:
        """Go from Start to Servers with a name and a server."""
        await self.press("enter")
        await self.type("registry.example.com")
        await self.press("enter")
        await self.see("Add a server", "Key file")
        await self.type(host)
        await self.press("ctrl+s")
        await self.see(host, "not tested")


class Servers(dict[str, PretendServer]):
    """Fake servers by label, created on the first connection."""

    def open(self, server: Any, asker: Asker, _resolve: Any) -> PretendConnection:
        """Open a connection like ``open_transport``."""
        there = self.setdefault(server.host, PretendServer(server.host))
        return PretendConnection(there, asker)
