"""Ask the operator about host keys and secrets on the command line."""

from __future__ import annotations

import getpass
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from moorage.cli.errors import ANOTHER_KEY, before_any_change
from moorage.cli.main_thread import MainThread
from moorage.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from moorage.answers.model import Answers
    from moorage.answers.secrets import Secret
    from moorage.errors import MoorageError, SecretName
    from moorage.servers.transport import HostKey, LoginRequest


class CommandLineAsker:
    """Prompts on the terminal, one question at a time; without a terminal, declines.

    Attributes:
        pause: Hides the progress table during a question.
        asks_for_logins_only: Whether to ask only for secrets of a server's login or sudo.
        answers: The answers, to name the owner of a secret.

    Args:
        output: The output.
        main_thread: Runs the prompts.
        accepted_host_keys: Fingerprints to trust on first contact; ``new`` trusts any.
        answers: The answers, to name the owner of a secret.
    """

    def __init__(
        self,
        output: Output,
        main_thread: MainThread,
        accepted_host_keys: Sequence[str] = (),
        answers: Answers | None = None,
    ) -> None:
        self.asks_for_logins_only = False
        self.pause: Callable[[], AbstractContextManager[None]] = nullcontext
        self._output = output
        self._main_thread = main_thread
        self.answers = answers
        self._accepted = frozenset(accepted_host_keys)
        self._one_at_a_time = threading.Lock()

    def accept_host_key(self, key: HostKey) -> bool:
        """Return whether to trust an unknown host key; see ``transport.Asker``."""
        if key.fingerprint in self._accepted or "new" in self._accepted:
            self._output.message(
                f"{key.server}: the {key.kind} key {key.fingerprint} is now trusted."
            )
            return True
        if not self._output.is_interactive:
            return False
        with self._one_at_a_time:
            return bool(self._main_thread.ask(lambda: self._ask_about(key)))

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        """Prompt for a secret; None without a terminal. See ``transport.Asker``."""
        if not self._output.is_interactive or (self.asks_for_logins_only and server is None):
            return None
        with self._one_at_a_time:
            return self._main_thread.ask(lambda: self._ask_secret(what, server, rejected))

    def login(self, request: LoginRequest) -> Secret | Path | None:
        """Explain a refused login and prompt for a password; see ``transport.LoginAsker``."""
        if request.key or not self._output.is_interactive:
            return None
        with self._one_at_a_time:
            return self._main_thread.ask(lambda: self._ask_for_login(request))

    def accept_store(self, store: str) -> bool:
        """Return whether to connect to a store that only a server's record names."""
        if not self._output.is_interactive:
            return False
        question = f"The record on the server names {store}. Connect to it from here?"
        with self._one_at_a_time:
            return bool(self._main_thread.ask(lambda: self._ask(question)))

    def forget_refused(self, *errors: MoorageError) -> None:
        """Do nothing: no input is remembered."""

    def give_up(self) -> None:
        """Do nothing: only the main thread waits for input, and Ctrl-C ends that."""

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question before anything is changed; main thread only.

        Raises:
            WasInterruptedError: Ctrl-C was pressed.
        """
        with before_any_change():
            return self._ask(question)

    def confirm_by_name(self, question: str, name: str) -> bool:
        """Ask for a name to be typed before something is deleted for good; main thread only.

        Raises:
            WasInterruptedError: Ctrl-C was pressed.
        """
        with before_any_change(), self.pause():
            self._output.question(question, f" Type {name} to confirm:")
            return sys.stdin.readline().strip() == name

    def _ask(self, question: str) -> bool:
        with self.pause():
            return self._yes_or_no(question)

    def _ask_about(self, key: HostKey) -> bool:
        with self.pause():
            self._output.message(
                f"The host key of {key.server} is unknown. {key.address} has the {key.kind} key"
            )
            self._output.message("  ", (key.fingerprint, "bold"))
            self._output.message(
                "Compare with 'ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub' on the server "
                "(or the file of another key type)."
            )
            return self._yes_or_no("Trust this key?")

    def _ask_for_login(self, request: LoginRequest) -> Secret | None:
        with self.pause():
            if request.rejected is None:
                self._output.message(f"{request.server}: {request.reason}")
            if request.takes_keys and request.rejected is None:
                self._output.message(ANOTHER_KEY)
        return self._ask_secret(request.what, request.server, request.rejected)

    def _ask_secret(
        self, what: SecretName, server: str | None, rejected: Secret | None
    ) -> Secret | None:
        from moorage.answers.secrets import Secret

        prompt = _prompt(what, self.answers)
        place = f" on {server}" if server and server not in prompt else ""
        with self.pause():
            if rejected is not None:
                self._output.message(f"Wrong {what.label}, try again.")
            typed = getpass.getpass(f"{prompt}{place}: ", stream=sys.stderr)
        return Secret(typed) if typed else None

    def _yes_or_no(self, question: str) -> bool:
        self._output.question(question, " [y/N]")
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            self._output.message("")
        return answer.strip().lower() in {"y", "yes"}


def _prompt(what: SecretName, answers: Answers | None) -> str:
    """Return the prompt for a secret, with its owner if the answers name one."""
    if answers is None:
        return str(what)
    for number, server in enumerate(answers.servers):
        if what.field == f"servers[{number}].{what.kind}":
            owner = f"{server.user}@{server.host}" if server.user else server.host
            return f"{what.label} of {owner}"
    for number, user in enumerate(answers.credentials.users):
        if what.field == f"credentials.users[{number}].{what.kind}":
            return f"{what.label} of registry user {user.name}"
    return str(what)
