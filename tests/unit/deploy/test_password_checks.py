"""Passwords are checked while the servers are still being read."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from moorage.answers.model import User
from moorage.answers.secrets import (
    FromEnvironment,
    FromPrompt,
    PasswordReference,
    Secret,
    SecretReference,
)
from moorage.deploy.verify.password_checks import PasswordChecks
from moorage.errors import SecretUnavailable
from moorage.servers.probe import probe
from moorage.servers.transport import Completed
from moorage.users import passwords
from moorage.users.passwords import hash_password

PASSWORD = Secret("correct-horse-7")


def _checks(reference: PasswordReference) -> PasswordChecks:
    def resolve(reference: SecretReference, where: str) -> Secret:
        assert isinstance(reference, FromEnvironment), "nobody is asked ahead"
        if reference.env != "CI_PW":
            raise SecretUnavailable(f"{where}: there is no {reference.env}.")
        return PASSWORD

    return PasswordChecks([User(name="ci", password=reference)], resolve)


def test_a_started_password_check_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def verify(password: Secret, value: str) -> bool:
        counted.append(value)
        return password == PASSWORD

    monkeypatch.setattr(passwords, "verify_password", verify)
    checks = _checks(FromEnvironment(env="CI_PW"))

    checks.begin(b"ci:one\nana:other\n")
    checks.begin(b"ci:one\n")

    assert checks.verify(PASSWORD, "one")
    assert counted == ["one"]


def test_a_password_not_checked_ahead_is_checked_later() -> None:
    checks = _checks(FromEnvironment(env="CI_PW"))
    value = hash_password(PASSWORD)

    assert checks.verify(PASSWORD, value)
    assert not checks.verify(Secret("another"), value)


def test_prompts_and_missing_secrets_are_left_for_later() -> None:
    assert not _checks(FromPrompt(prompt=True)).is_needed
    _checks(FromEnvironment(env="MISSING")).begin(b"ci:one\n")


class _Answering:
    """A transport whose server sends the hashes, and the rest once they have been taken."""

    server = "one"

    def __init__(self, taken: threading.Event) -> None:
        self._taken = taken

    def run(
        self, script: str, *, on_stdout: Callable[[bytes], None], payload: bytes, **_: object
    ) -> Completed:
        assert payload.splitlines()[5] == b"/etc/hashes"
        for piece in (b"first\tci:one\nfir", b"st\tana:two\nfirst_", b"read\n"):
            on_stdout(piece)
        assert self._taken.is_set(), "the file is taken before the rest is there"
        on_stdout(b"systemd\tyes\n@files\n")
        return Completed(0, b"", b"")


def test_the_probe_delivers_the_first_file_at_once() -> None:
    taken, content = threading.Event(), bytearray()

    def take(data: bytes) -> None:
        content.extend(data)
        taken.set()

    facts = probe(_Answering(taken), ["/etc/moorage"], first=("/etc/hashes", take))  # type: ignore[arg-type]  # only run is used

    assert content == b"ci:one\nana:two"
    assert facts.systemd
