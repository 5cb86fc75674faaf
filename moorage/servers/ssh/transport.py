"""The transport to a server over SSH. paramiko is imported on the first connection."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from moorage.answers.model import Server
from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect, MoorageError, SecretName
from moorage.servers import script_command
from moorage.servers.script_session import Job, Root, ScriptSession
from moorage.servers.ssh.config import Hop, SshConfig
from moorage.servers.ssh.config_lookup import Settings
from moorage.servers.transport import (
    Asker,
    Cancel,
    Completed,
    Exchange,
    LoginAsker,
    LoginRequest,
    Resolve,
)

if TYPE_CHECKING:
    import socket

    from paramiko import Channel

    from moorage.servers.ssh.auth import Credentials
    from moorage.servers.ssh.connection import Link
    from moorage.servers.ssh.dial import Breaker, Limits, Machine
    from moorage.servers.ssh.keys import Candidate

Result = TypeVar("Result")

_LOGIN_GRACE = 20.0
"""Seconds after which a disconnect during the login is put down to sshd's LoginGraceTime."""
_MOST_QUESTIONS = 5
"""Questions that can each cost a connection."""
_MOST_JUMPS = 8
"""Jump hosts to one server; more than that means a loop in the configuration."""


class SshTransport:
    """A connection to a server over SSH; see :class:`moorage.servers.transport.Transport`.

    Args:
        server: The server as in the answers.
        asker: Asks the operator about host keys and secrets.
        resolve: Resolves the answers' secret references.
        config: The ssh configuration; None reads the operator's.
        limits: Timeouts; None for the defaults.
    """

    def __init__(
        self,
        server: Server,
        asker: Asker,
        resolve: Resolve,
        *,
        config: SshConfig | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.server = server.host
        self._answers = server
        self._asker = asker
        self._resolve = resolve
        self._config = config
        self._limits = limits
        self._settings: Settings | None = None
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._breaker: Breaker | None = None
        self._sudo_password: Secret | None = None
        self._answered: dict[SecretName, Secret | Path | None] = {}

    @property
    def public_address(self) -> str:
        """The host's HostName in the operator's ssh configuration."""
        return self._looked_up().hostname

    def connect(self) -> None:
        """Connect and log in, unless already connected."""
        with self._lock:
            if self._link is None or not self._link.is_alive:
                self._link = self._labelled(self._connect)

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
        """Run a POSIX shell script as root; see :meth:`.transport.Transport.run`."""
        from moorage.servers.ssh.channel import ChannelPipes
        from moorage.servers.ssh.dial import Limits

        self.connect()
        link = self._link
        if link is None:
            raise CannotConnect(
                "The connection was closed.", server=self.server, code="connection_closed"
            )
        user = link.machine.settings.user
        is_root = user == "root"
        arguments = script_command.AS_ROOT if is_root else script_command.WITH_SUDO
        limits = self._limits or Limits()
        pipes = ChannelPipes(link, script_command.command_line(arguments), limits)
        session = ScriptSession(
            pipes,
            Job(script, payload, on_stdout, on_start, timeout, deadline, cancel),
            Root(
                user=user,
                needs_sudo=not is_root,
                password=None if is_root else self._known_sudo_password(),
                ask=lambda rejected: self._ask_sudo_password(user, rejected),
            ),
            self.server,
            limits.start,
        )
        completed = session.run()
        self._sudo_password = session.password
        return completed

    def close(self) -> None:
        """Close the connection. Safe to call repeatedly and from other threads."""
        breaker, self._breaker, self._link = self._breaker, None, None
        if breaker is not None:
            breaker.open()

    # -- connecting ------------------------------------------------------------------------------

    def _looked_up(self) -> Settings:
        if self._settings is None:
            self._settings = self._labelled(
                lambda: self._ssh_config().lookup(
                    self.server, user=self._answers.user, port=self._answers.port
                )
            )
        return self._settings

    def _ssh_config(self) -> SshConfig:
        if self._config is None:
            self._config = SshConfig.load()
        return self._config

    def _connect(self) -> Link:
        from moorage.servers.ssh.dial import HungUpError

        self._answered.clear()
        for _ in range(_MOST_QUESTIONS):
            started = time.monotonic()
            try:
                return self._connect_once()
            except HungUpError:
                # sshd disconnects while the operator thinks about a host key or a passphrase for
                # two minutes. The answer is known by now, so the next attempt gets further.
                if time.monotonic() - started < _LOGIN_GRACE:
                    raise
        return self._connect_once()

    def _connect_once(self) -> Link:
        from moorage.servers.ssh.dial import Breaker, Machine

        breaker = Breaker()
        self._breaker = breaker
        settings = self._looked_up()
        jumps = settings.proxy_jump
        if self._answers.jump:
            jumps = tuple(self._answers.jump.split(","))
        try:
            return self._link_to(Machine(self.server, self.server, settings), jumps, breaker, 0)
        except BaseException:
            breaker.open()
            raise

    def _link_to(
        self, machine: Machine, jumps: tuple[str, ...], breaker: Breaker, depth: int
    ) -> Link:
        load()
        from moorage.servers.ssh.auth import Login
        from moorage.servers.ssh.connection import Link, dial_through
        from moorage.servers.ssh.dial import Limits, dial, dial_command

        limits = self._limits or Limits()
        command = machine.settings.proxy_command
        connection: socket.socket | Channel
        last_output: Callable[[], str] | None = None
        if jumps:
            connection = dial_through(self._jump_host(jumps, breaker, depth), machine)
        elif command and not self._answers.jump:
            connection, last_output = dial_command(command, breaker)
        else:
            connection = dial(machine, limits, breaker)
        link = Link(connection, machine, limits, breaker)
        try:
            link.handshake(self._asker)
        except CannotConnect as error:
            output = last_output() if last_output is not None else ""
            if error.code != "unreachable" or not output:
                raise
            raise machine.failed("unreachable", f"The ProxyCommand printed: {output}") from error
        Login(link.transport, self._credentials(machine)).log_in()
        link.keep_alive()
        return link

    def _jump_host(self, jumps: tuple[str, ...], breaker: Breaker, depth: int) -> Link:
        from moorage.servers.ssh.dial import Machine

        *before, last = jumps
        try:
            hop = Hop.parse(last)
        except ValueError as error:
            raise CannotConnect(
                f"Invalid jump host: {error}.", code="ssh_config_invalid"
            ) from error
        if depth >= _MOST_JUMPS:
            raise CannotConnect(
                f"There are more than {_MOST_JUMPS} jump hosts on the way to the server.",
                advice="Check the ProxyJump lines in the ssh configuration for a loop.",
                code="ssh_config_invalid",
            )
        settings = self._ssh_config().lookup(hop.host, user=hop.user, port=hop.port)
        # Jump hosts listed before this one override its own ProxyJump.
        onward = tuple(before) or settings.proxy_jump
        return self._link_to(Machine(self.server, hop.host, settings), onward, breaker, depth + 1)

    def _credentials(self, machine: Machine) -> Credentials:
        from moorage.servers.ssh.auth import Credentials
        from moorage.servers.ssh.keys import Agent, candidates

        settings, answers = machine.settings, self._answers
        is_target = machine.name == self.server
        explicit = Path(answers.key) if answers.key and is_target else None
        agent = Agent(settings.identity_agent)
        assert self._breaker is not None
        self._breaker.add(agent.close)
        configured = settings.identity_files
        if answers.key and not is_target:
            # The server's key usually works for its jump hosts, too.
            configured = (*configured, Path(answers.key))
        keys, notes = candidates(
            explicit,
            configured,
            only=settings.identities_only,
            folder=self._ssh_config().home / ".ssh",
            agent=agent,
            certificate_files=settings.certificate_files,
        )

        def passphrase(key: str, rejected: Secret | None) -> Secret | None:
            if answers.passphrase is not None and answers.key and (is_target or len(keys) == 1):
                return self._resolve(answers.passphrase, "passphrase", rejected)
            return self._asker.secret(SecretName("passphrase", key), self.server, rejected)

        def password(
            reason: str, methods: tuple[str, ...], rejected: Secret | None
        ) -> Secret | Candidate | None:
            where = "" if is_target else f" on {machine.name}"
            what = SecretName("password", f"{settings.user}{where}")
            if answers.password is not None and is_target:
                return self._resolve(answers.password, "password", rejected)
            if what not in self._answered or rejected is not None:
                key = answers.key or "" if explicit is not None else ""
                request = LoginRequest(
                    what, self.server, reason, methods, key, not is_target, rejected
                )
                self._answered[what] = self._ask_for_login(request)
            answer = self._answered[what]
            if not isinstance(answer, Path):
                return answer
            return candidates(answer, (), only=True, folder=answer.parent, agent=agent)[0][0]

        return Credentials(
            user=settings.user,
            server=self.server,
            machine=machine.name,
            keys=keys,
            notes=notes,
            is_password_first=is_target and answers.password is not None and explicit is None,
            passphrase=passphrase,
            password=password,
        )

    def _ask_for_login(self, request: LoginRequest) -> Secret | Path | None:
        if isinstance(self._asker, LoginAsker):
            return self._asker.login(request)
        # The answers name a key: do not ask for a password instead.
        return (
            None if request.key else self._asker.secret(request.what, self.server, request.rejected)
        )

    def _known_sudo_password(self) -> Secret | None:
        if self._sudo_password is None and self._answers.sudo_password is not None:
            self._sudo_password = self._resolve(self._answers.sudo_password, "sudo_password")
        return self._sudo_password

    def _ask_sudo_password(self, user: str, rejected: Secret | None) -> Secret | None:
        reference = self._answers.sudo_password
        if reference is not None:
            return self._resolve(reference, "sudo_password", rejected)
        return self._asker.secret(SecretName("sudo_password", user), self.server, rejected)

    def _labelled(self, act: Callable[[], Result]) -> Result:
        """Set the server's label on errors that lack it."""
        try:
            return act()
        except MoorageError as error:
            error.server = error.server or self.server
            raise


def load() -> None:
    """Import what a connection needs, unless that is done.

    paramiko is imported without invoke, the optional task runner for its ssh_config reader. That
    reader is not used here, and the import takes half as long without it.
    """
    if "paramiko" not in sys.modules and "invoke" not in sys.modules:
        sys.modules["invoke"] = None  # type: ignore[assignment]  # makes the import fail
        try:
            import paramiko  # noqa: F401
        finally:
            sys.modules.pop("invoke", None)
    from moorage.servers.ssh import auth, channel, connection, dial, keys  # noqa: F401
