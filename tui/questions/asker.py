"""Asks the operator on behalf of the engine's threads, and remembers the answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect, MoorageError, SecretName, ServersFailed
from moorage.servers.transport import HostKey, LoginRequest

Subject = HostKey | LoginRequest | tuple[SecretName, str | None]
Answer = bool | Secret | Path | None
"""True or False for a host key, a secret or key file, or None if the operator declined."""


@dataclass
class Question:
    """A question that a thread waits to have answered.

    Attributes:
        subject: A host key, a login that no key worked for, or (what, server) for a secret.
        is_repeated: Whether the previous answer was wrong.
        answer: The answer; None before.
    """

    subject: Subject
    is_repeated: bool = False
    answer: Answer = None
    _answered: threading.Event = field(default_factory=threading.Event)

    def settle(self, answer: Answer) -> None:
        """Give the answer and release the thread."""
        self.answer = answer
        self._answered.set()

    @property
    def is_settled(self) -> bool:
        """Whether it was answered."""
        return self._answered.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the answer; returns False after a timeout."""
        return self._answered.wait(seconds)


class WizardAsker:
    """The engine's asker: passes questions to the interface and waits.

    Typed secrets are remembered until the wizard ends, so that each is asked for once;
    :meth:`forget_refused` forgets those that a server rejected.

    Args:
        ask: Shows a question; called in the asking thread, returns at once.
    """

    def __init__(self, ask: Callable[[Question], object]) -> None:
        self._ask = ask
        self._known: dict[tuple[SecretName, str | None], Secret | Path] = {}
        self._lock = threading.Lock()
        self._open: list[Question] = []
        self._is_closed = False

    def accept_host_key(self, key: HostKey) -> bool:
        """Return whether the operator trusts an unknown host key."""
        return self._wait_for(Question(key)) is True

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        """Return a secret, asked for once unless it is wrong; None if the operator declines."""
        answer = self._known_or_asked(what, server, rejected, (what, server))
        return answer if isinstance(answer, Secret) else None

    def login(self, request: LoginRequest) -> Secret | Path | None:
        """Return a password or key file for a login that no key worked for, or None."""
        return self._known_or_asked(request.what, request.server, request.rejected, request)

    def quiet(self) -> QuietAsker:
        """Return an asker that knows what was typed before, and asks for nothing."""
        return QuietAsker(self._known_secret)

    def _known_secret(self, what: SecretName, server: str | None) -> Secret | Path | None:
        with self._lock:
            return self._known.get((what, server))

    def forget_refused(self, *errors: MoorageError) -> None:
        """Forget the secrets that servers rejected, and no others."""
        for error in errors:
            if isinstance(error, ServersFailed):
                self.forget_refused(*error.errors)
            elif isinstance(error, CannotConnect) and error.refused is not None:
                refused = error.refused
                with self._lock:
                    self._known = {
                        (what, server): value
                        for (what, server), value in self._known.items()
                        if server != error.server or not what.is_same(refused)
                    }

    def give_up(self) -> None:
        """Decline every open question, which releases the threads that wait."""
        with self._lock:
            waiting, self._open = self._open, []
        for question in waiting:
            question.settle(None)

    def close(self) -> None:
        """Decline every question from now on."""
        self._is_closed = True
        self.give_up()

    def _known_or_asked(
        self, what: SecretName, server: str | None, rejected: Secret | None, subject: Subject
    ) -> Secret | Path | None:
        with self._lock:
            known = self._known.get((what, server))
            if known is not None and known == rejected:
                del self._known[(what, server)]
            elif known is not None:
                return known
        answer = self._wait_for(Question(subject, is_repeated=rejected is not None))
        if not isinstance(answer, Secret | Path):
            return None
        with self._lock:
            self._known[(what, server)] = answer
        return answer

    def _wait_for(self, question: Question) -> Answer:
        with self._lock:
            if self._is_closed:
                return None
            self._open.append(question)
        self._ask(question)
        while not question.wait(60):
            pass
        with self._lock:
            if question in self._open:
                self._open.remove(question)
        return question.answer


class QuietAsker:
    """Never asks, for what is read without a key press; knows what was typed before.

    Args:
        known: Returns a secret that was typed before, or None.
    """

    def __init__(self, known: Callable[[SecretName, str | None], Secret | Path | None]) -> None:
        self._known = known

    def accept_host_key(self, key: HostKey) -> bool:
        """Trust no new key."""
        return False

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        """Return a secret that was typed before, unless it is wrong."""
        known = self._known(what, server)
        return known if isinstance(known, Secret) and known != rejected else None

    def login(self, request: LoginRequest) -> Secret | Path | None:
        """Return a password or key file that was typed before, unless it is wrong."""
        known = self._known(request.what, request.server)
        return known if known != request.rejected else None
