"""Check passwords from the answers against their hashes while the servers are being read."""

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
    """Password checks in threads; each pair of password and hash is checked once.

    A bcrypt check takes as long as reading a server, and other threads can run meanwhile.

    Args:
        users: The users of the answers.
        resolve: Resolves secret references; the second argument is their path in the answers.
    """

    def __init__(
        self, users: Sequence[User], resolve: Callable[[SecretReference, str], Secret]
    ) -> None:
        # Only environment variables: a prompt or a command may turn out not to be needed.
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
        """Whether any password can be checked early."""
        return bool(self._references)

    def begin(self, htpasswd: bytes) -> None:
        """Start the checks that are possible, without waiting for them; safe in any thread.

        Args:
            htpasswd: The content of the server's htpasswd file.
        """
        from moorage.desired.users import read_htpasswd
        from moorage.users.passwords import verify_password

        hashes = read_htpasswd(htpasswd)
        for name in self._references.keys() & hashes.keys():
            reference, where = self._references[name]
            # The plan reports what is wrong with a reference.
            with suppress(MoorageError), self._lock:
                pair = self._resolve(reference, where), hashes[name]
                if pair not in self._checks:
                    self._pool = self._pool or ThreadPoolExecutor(max_workers=_AT_A_TIME)
                    self._checks[pair] = self._pool.submit(verify_password, *pair)

    def verify(self, password: Secret, value: str) -> bool:
        """Return whether a password matches a hash; waits for a check that was started."""
        from moorage.users.passwords import verify_password

        with self._lock:
            begun = self._checks.get((password, value))
        return begun.result() if begun is not None else verify_password(password, value)
