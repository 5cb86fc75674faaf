"""Checks passwords of the answers against the hashes on the servers while those are being read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from moorage.answers.model import User
from moorage.answers.secrets import FromEnvironment, Secret, SecretReference
from moorage.errors import MoorageError

_AT_A_TIME = 8


class PasswordChecks:
    """Checks that run in threads of their own, each password with each hash once.

    A check takes bcrypt as long as reading a server takes, and lets other threads run.

    Args:
        users: The users of the answers.
        resolve: Resolves secret references; the second argument is their path in the answers.
    """

    def __init__(
        self, users: Sequence[User], resolve: Callable[[SecretReference, str], Secret]
    ) -> None:
        # Nothing is asked, run or opened before it is known to be needed: only variables are read.
        self._references = {
            user.name: (user.password, f"credentials.users[{position}].password")
            for position, user in enumerate(users)
            if isinstance(user.password, FromEnvironment)
        }
        self._resolve = resolve
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._checks: dict[tuple[Secret, str], Future[bool]] = {}

    @property
    def is_needed(self) -> bool:
        """Whether there is any password that can be checked ahead."""
        return bool(self._references)

    def begin(self, htpasswd: bytes) -> None:
        """Begin to check what can be checked; may be called in any thread, and returns at once.

        Args:
            htpasswd: The file with the hashes, as a server has it.
        """
        from moorage.desired.users import read_htpasswd
        from moorage.users.passwords import verify_password

        hashes = read_htpasswd(htpasswd)
        for name in self._references.keys() & hashes.keys():
            reference, where = self._references[name]
            # What is wrong with it is said when the plan needs it.
            with suppress(MoorageError), self._lock:
                pair = self._resolve(reference, where), hashes[name]
                if pair not in self._checks:
                    self._pool = self._pool or ThreadPoolExecutor(max_workers=_AT_A_TIME)
                    self._checks[pair] = self._pool.submit(verify_password, *pair)

    def verify(self, password: Secret, value: str) -> bool:
        """Return whether a password belongs to a hash; waits for a check that was begun."""
        from moorage.users.passwords import verify_password

        with self._lock:
            begun = self._checks.get((password, value))
        return begun.result() if begun is not None else verify_password(password, value)
