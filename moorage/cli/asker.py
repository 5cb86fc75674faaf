"""Who is asked for host keys and secrets on the command line."""

from __future__ import annotations

import getpass
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from moorage.cli.errors import ANOTHER_KEY
from moorage.cli.foreground import Desk
from moorage.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from moorage.answers.model import Answers
    from moorage.answers.secrets import Secret
    from moorage.errors import MoorageError, SecretName
    from moorage.servers.transport import HostKey, LoginRequest


class CommandLineAsker:
    """Asks at the terminal, one question at a time; without a terminal nobody is asked.

    Attributes:
        pause: Makes room on the terminal while a question is asked.
        asks_for_logins_only: Whether secrets are asked for only if a server's login or sudo needs
            them.
        answers: The answers, to say whose secret a place in them is.

    Args:
        session: The session.
        desk: Where questions are asked.
        accepted_host_keys: Fingerprints that are trusted on first contact; ``new`` trusts any.
        answers: The answers, to say whose secret a place in them is.
    """

    def __init__(
        self,
        session: Session,
        desk: Desk,
        accepted_host_keys: Sequence[str] = (),
        answers: Answers | None = None,
    ) -> None:
        self.asks_for_logins_only = False
        self.pause: Callable[[], AbstractContextManager[None]] = nullcontext
        self._session = session
        self._desk = desk
        self.answers = answers
        self._accepted = frozenset(accepted_host_keys)
        self._one_at_a_time = threading.Lock()

    def accept_host_key(self, key: HostKey) -> bool:
        """Return whether an unknown host key is to be trusted; see ``transport.Asker``."""
        if key.fingerprint in self._accepted or "new" in self._accepted:
            self._session.narrate(
                f"{key.server}: the {key.kind} key {key.fingerprint} is trusted from now on."
            )
            return True
        if not self._session.is_interactive:
            return False
        with self._one_at_a_time:
            return bool(self._desk.ask(lambda: self._ask_about(key)))

    def secret(self, what: SecretName, server: str | None) -> Secret | None:
        """Return a secret that was typed, or None without a terminal; see ``transport.Asker``."""
        if not self._session.is_interactive or (self.asks_for_logins_only and server is None):
            return None
        with self._one_at_a_time:
            return self._desk.ask(lambda: self._ask_secret(what, server))

    def login(self, wanted: LoginRequest) -> Secret | Path | None:
        """Return a password that was typed, once it was said why; see ``transport.LoginAsker``."""
        if wanted.key or not self._session.is_interactive:
            return None
        with self._one_at_a_time:
            return self._desk.ask(lambda: self._ask_for_login(wanted))

    def forget_refused(self, *errors: MoorageError) -> None:
        """Nothing that was typed is remembered."""

    def give_up(self) -> None:
        """Nobody waits for an answer but the main thread, which Ctrl-C reaches."""

    def confirm(self, question: str) -> bool:
        """Return whether the operator says yes; main thread only."""
        with self.pause():
            return self._yes_or_no(question)

    def _ask_about(self, key: HostKey) -> bool:
        with self.pause():
            self._session.narrate(
                f"{key.server} is not known yet. At {key.address} it shows the {key.kind} key"
            )
            self._session.narrate("  ", (key.fingerprint, "bold"))
            self._session.narrate(
                "On the server, 'ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub' (or the file "
                "for another kind of key) prints the same if nobody is in between."
            )
            return self._yes_or_no("Trust this key from now on?")

    def _ask_for_login(self, wanted: LoginRequest) -> Secret | None:
        with self.pause():
            self._session.narrate(f"{wanted.server}: {wanted.reason}")
            if wanted.takes_keys:
                self._session.narrate(ANOTHER_KEY)
        return self._ask_secret(wanted.what, wanted.server)

    def _ask_secret(self, what: SecretName, server: str | None) -> Secret | None:
        from moorage.answers.secrets import Secret

        prompt = _prompt(what, self.answers)
        place = f" on {server}" if server and server not in prompt else ""
        with self.pause():
            typed = getpass.getpass(f"{prompt}{place}: ", stream=sys.stderr)
        return Secret(typed) if typed else None

    def _yes_or_no(self, question: str) -> bool:
        self._session.stderr.print(self._session.text(question, " [y/N] "), end="")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            self._session.narrate("")
        return answer.strip().lower() in {"y", "yes"}


def _prompt(what: SecretName, answers: Answers | None) -> str:
    """Return whose secret is asked for: the answers know the owner of one that they name."""
    if answers is None:
        return str(what)
    for number, server in enumerate(answers.servers):
        if what.field == f"servers[{number}].{what.kind}":
            whose = f"{server.user}@{server.host}" if server.user else server.host
            return f"{what.label} of {whose}"
    for number, user in enumerate(answers.credentials.users):
        if what.field == f"credentials.users[{number}].{what.kind}":
            return f"{what.label} of the registry's user {user.name}"
    return str(what)
