"""Asks the operator on behalf of the engine's threads, and remembers what was answered."""

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
"""True or False for a host key, a secret, a key file, or None for a refusal."""


@dataclass
class Question:
    """Something a thread waits to be told.

    Attributes:
        subject: The host key to judge, the login no key opened, or (what, server) for a secret.
        answer: What was answered; None before.
    """

    subject: Subject
    answer: Answer = None
    _answered: threading.Event = field(default_factory=threading.Event)

    def settle(self, answer: Answer) -> None:
        """Give the answer and let the thread go on."""
        self.answer = answer
        self._answered.set()

    @property
    def is_settled(self) -> bool:
        """Whether it was answered."""
        return self._answered.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the answer; returns whether it is there."""
        return self._answered.wait(seconds)


class WizardAsker:
    """The engine's asker: hands questions to the interface and waits.

    Secrets that were typed are remembered until the wizard ends, so that nobody types them twice;
    :meth:`forget_refused` drops what a server did not take.

    Args:
        ask: Shows a question; called in the asking thread and returns at once.
    """

    def __init__(self, ask: Callable[[Question], object]) -> None:
        self._ask = ask
        self._known: dict[tuple[SecretName, str | None], Secret | Path] = {}
        self._lock = threading.Lock()
        self._open: list[Question] = []
        self._is_closed = False

    def accept_host_key(self, key: HostKey) -> bool:
        """Return whether an unknown host key is to be trusted."""
        return self._wait_for(Question(key)) is True

    def secret(self, what: SecretName, server: str | None) -> Secret | None:
        """Return a secret, asked once; None when the operator refuses."""
        with self._lock:
            known = self._known.get((what, server))
        if isinstance(known, Secret):
            return known
        answer = self._wait_for(Question((what, server)))
        if not isinstance(answer, Secret):
            return None
        with self._lock:
            self._known[(what, server)] = answer
        return answer

    def login(self, wanted: LoginRequest) -> Secret | Path | None:
        """Return a password or a key file for a login no key opened; None for a refusal."""
        place = (wanted.what, wanted.server)
        with self._lock:
            known = self._known.get(place)
        if known is not None:
            return known
        answer = self._wait_for(Question(wanted))
        if not isinstance(answer, Secret | Path):
            return None
        with self._lock:
            self._known[place] = answer
        return answer

    def forget_refused(self, *errors: MoorageError) -> None:
        """Forget the secrets that servers did not take, and no others."""
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
        """Settle every open question with a refusal; the threads that wait go on."""
        with self._lock:
            waiting, self._open = self._open, []
        for question in waiting:
            question.settle(None)

    def close(self) -> None:
        """Refuse every question from now on."""
        self._is_closed = True
        self.give_up()

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
