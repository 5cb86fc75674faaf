"""Resolve the secret references in an answers file."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from moorage.answers.model import Answers
from moorage.answers.secrets import (
    FromCommand,
    FromEnvironment,
    FromFile,
    FromKeyring,
    FromPrompt,
    PasswordReference,
    Secret,
    SecretReference,
    Typed,
)
from moorage.answers.ssl import acme_references
from moorage.errors import MoorageError, Problem, SecretName, SecretUnavailable
from moorage.local_file import LocalFileError, check_file, expand, read_pipe, read_start

COMMAND_TIMEOUT = 30.0
"""Seconds a command can take."""
KEYRING_SERVICE = "moorage"
"""The service name of entries in the keyring."""

_LARGEST = 64 * 1024

Ask = Callable[..., Secret | None]
"""Asks for a secret: its path in the answers, and the server's label if it belongs to one. If the
previous answer was wrong, that follows."""


class Resolver:
    """Resolves secret references, each of them once. Safe to use from several threads.

    Args:
        ask: Asks the operator for a secret; returns None if it cannot ask. Never called by two
            threads at a time.
        on_notice: Takes what the operator should know, such as that other users can read a file
            with a secret. Called in any thread.
        timeout: Seconds a command can take.
    """

    def __init__(
        self,
        ask: Ask,
        on_notice: Callable[[str], None] = lambda notice: None,
        *,
        timeout: float = COMMAND_TIMEOUT,
    ) -> None:
        self._ask = ask
        self._on_notice = on_notice
        self._timeout = timeout
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._found: dict[object, Future[Secret]] = {}

    def resolve(
        self, reference: SecretReference, where: str, *, server: str | None = None
    ) -> Secret:
        """Return the secret a reference points to.

        Prompted secrets are remembered per path in the answers, all others per reference.

        Args:
            reference: The reference.
            where: Its path in the answers, for example ``credentials.users[0].password``.
            server: The label of the server it belongs to, if it belongs to one.

        Raises:
            SecretUnavailable: The reference cannot be resolved.
        """
        return self._resolve(reference, where, server, None)

    def resolve_unless(
        self,
        rejected: Secret | None,
        reference: SecretReference,
        where: str,
        *,
        server: str | None = None,
    ) -> Secret | None:
        """Return the secret a reference points to, unless it is wrong and there is no other.

        Args:
            rejected: The previous result, if that was wrong. Only the operator can have another.
            reference: The reference.
            where: Its path in the answers.
            server: The label of the server it belongs to, if it belongs to one.

        Raises:
            SecretUnavailable: The reference cannot be resolved.
        """
        if rejected is None:
            return self.resolve(reference, where, server=server)
        if not isinstance(reference, FromPrompt):
            return None
        try:
            return self._resolve(reference, where, server, rejected)
        except SecretUnavailable:
            return None

    def _resolve(
        self,
        reference: SecretReference,
        where: str,
        server: str | None,
        rejected: Secret | None,
    ) -> Secret:
        if isinstance(reference, Typed):
            return reference.secret
        key = _key(reference, where)
        with self._lock:
            future = self._found.get(key)
            if rejected is not None and future is not None and _has(future, rejected):
                future = None
            is_first = future is None
            if future is None:
                future = self._found[key] = Future()
        if not is_first:
            return _same_error(future, where)
        try:
            secret = self._find(reference, where, server, rejected)
            _check_is_text(secret, where)
            future.set_result(secret)
        except BaseException as error:
            # Waiting threads get the error; later calls try again.
            with self._lock:
                self._found.pop(key, None)
            future.set_exception(error)
        return future.result()

    def _find(
        self,
        reference: SecretReference,
        where: str,
        server: str | None,
        rejected: Secret | None,
    ) -> Secret:
        if isinstance(reference, FromEnvironment):
            return _from_environment(reference, where)
        if isinstance(reference, FromFile):
            return self._from_file(reference, where)
        if isinstance(reference, FromCommand):
            return _from_command(reference, where, self._timeout)
        if isinstance(reference, FromKeyring):
            return _from_keyring(reference, where)
        with self._asking:
            name = SecretName(where.rpartition(".")[2], field=where)
            previous = (rejected,) if rejected is not None else ()
            secret = self._ask(name, server, *previous)
        if not secret:
            raise SecretUnavailable(
                "a secret was not entered.",
                advice="Run Moorage in a terminal, or refer to the secret with env, file or "
                "command.",
                fields=(where,),
            )
        return secret

    def _from_file(self, reference: FromFile, where: str) -> Secret:
        try:
            content = read_start(reference.file, size=_LARGEST + 1, pipes=True)
        except LocalFileError as error:
            raise _cannot_read(error, where) from None
        if _others_can_read(reference.file):
            self._on_notice(
                f"Other users of this machine can read {reference.file}; "
                f"run 'chmod 600 {reference.file}' to prevent that."
            )
        return _first_line(content, where, f"the file {reference.file}")


def _registry_references(
    answers: Answers,
) -> Iterator[tuple[tuple[str | int, ...], SecretReference]]:
    for name, value in answers.registry.environment.items():
        if not isinstance(value, (str, int, bool)):
            yield ("registry", "environment", name), value
    if answers.registry.image_login is not None and pulls_image(answers):
        yield ("registry", "image_login", "password"), answers.registry.image_login.password


def pulls_image(answers: Answers) -> bool:
    """Return whether any server pulls the registry's image."""
    every = [answers.for_server(each.host).registry for each in answers.servers]
    return any(each.runtime != "package" and each.image_archive is None for each in every)


def references(
    answers: Answers,
) -> Iterator[tuple[tuple[str | int, ...], PasswordReference]]:
    """Yield every secret reference that an apply resolves, with its path."""
    yield from _registry_references(answers)
    for position, server in enumerate(answers.servers):
        for field in ("passphrase", "password", "sudo_password"):
            reference = getattr(server, field)
            if reference is not None:
                yield ("servers", position, field), reference
    for position, user in enumerate(answers.credentials.users):
        yield ("credentials", "users", position, "password"), user.password
    s3 = answers.storage.s3
    if answers.storage.driver == "s3" and s3 is not None:
        for field in ("accesskey", "secretkey"):
            reference = getattr(s3, field)
            if reference is not None:
                yield ("storage", "s3", field), reference
    if answers.ssl.mode == "acme":
        for path, reference in acme_references(answers.ssl.acme).items():
            yield ("ssl", "acme", *path), reference
    passphrase = answers.ssl.private_ca.passphrase
    if answers.ssl.mode == "private_ca" and passphrase is not None:
        yield ("ssl", "private_ca", "passphrase"), passphrase
    yield from dns_references(answers)


def dns_references(
    answers: Answers,
) -> Iterator[tuple[tuple[str | int, ...], SecretReference]]:
    """Yield the secret references of the DNS provider, with their paths."""
    dns = answers.dns
    if dns.provider == "rfc2136" and dns.rfc2136 and dns.rfc2136.key is not None:
        yield ("dns", "rfc2136", "key"), dns.rfc2136.key
    if dns.provider == "route53" and dns.route53:
        for field in ("accesskey", "secretkey"):
            reference = getattr(dns.route53, field)
            if reference is not None:
                yield ("dns", "route53", field), reference
    if dns.provider == "lexicon" and dns.lexicon:
        for name, value in dns.lexicon.options.items():
            if not isinstance(value, (str, int, bool)):
                yield ("dns", "lexicon", "options", name), value


def check_available(answers: Answers, *, terminal: bool | None = None) -> list[Problem]:
    """Return every reference that cannot be resolved, without running a command or asking.

    Args:
        answers: The answers.
        terminal: Whether an operator can be asked; None: whether standard input is a terminal.
    """
    if terminal is None:
        terminal = sys.stdin is not None and sys.stdin.isatty()
    problems = []
    for path, reference in references(answers):
        message = _unavailable(reference, Problem(path, "").dotted, terminal)
        if message:
            problems.append(Problem(path, message))
    return problems


def _unavailable(reference: PasswordReference, where: str, terminal: bool) -> str:
    """Return why a reference cannot be resolved; empty if it can."""
    try:
        if isinstance(reference, FromEnvironment):
            _from_environment(reference, where)
        elif isinstance(reference, FromFile):
            _check_file(reference, where)
        elif isinstance(reference, FromCommand):
            if shutil.which(os.path.expanduser(reference.command[0])) is None:  # noqa: PTH111
                raise _no_program(reference, where)
        elif isinstance(reference, FromKeyring):
            _import_keyring(where)
        elif isinstance(reference, FromPrompt) and not terminal:
            return "must be typed, but there is no terminal; use env, file or command"
    except MoorageError as error:
        return f"{error.message} {error.advice}".strip().removesuffix(".")
    return ""


def _check_file(reference: FromFile, where: str) -> None:
    try:
        check_file(reference.file, pipes=True)
        if expand(reference.file).is_fifo():
            return  # reading a pipe would consume its content
        content = read_start(reference.file, size=_LARGEST + 1)
    except LocalFileError as error:
        raise _cannot_read(error, where) from None
    _first_line(content, where, f"the file {reference.file}")


def _key(reference: SecretReference, where: str) -> object:
    return (reference, where) if isinstance(reference, FromPrompt) else reference


def _has(future: Future[Secret], secret: Secret) -> bool:
    """Return whether a secret was found, and is this one."""
    return future.done() and future.exception() is None and future.result() == secret


def _same_error(future: Future[Secret], where: str) -> Secret:
    try:
        return future.result()
    except SecretUnavailable as error:
        # The same reference at another path: point the error to this one.
        raise SecretUnavailable(
            error.message, advice=error.advice, fields=(where,), code=error.code
        ) from None


def _check_is_text(secret: Secret, where: str) -> None:
    """Raise SecretUnavailable if a secret contains bytes that could not be decoded."""
    if any("\ud800" <= character <= "\udfff" for character in secret.reveal()):
        raise SecretUnavailable("the secret is not UTF-8.", fields=(where,))


def _from_environment(reference: FromEnvironment, where: str) -> Secret:
    value = os.environ.get(reference.env)
    if value:
        return Secret(value)
    state = "is not set" if value is None else "is empty"
    raise SecretUnavailable(
        f"the environment variable {reference.env} {state}.",
        fields=(where,),
        advice=f"Set it, for example with 'read -rs {reference.env}; export {reference.env}'.",
    )


def _cannot_read(error: LocalFileError, where: str) -> SecretUnavailable:
    return SecretUnavailable(
        f"the {error.subject} {error.fault}.", advice=error.advice, fields=(where,)
    )


def _others_can_read(name: str) -> bool:
    try:
        mode = expand(name).stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IRWXG | stat.S_IRWXO))


def _first_line(content: bytes, where: str, source: str) -> Secret:
    """Return the first line of the content; the rest is ignored."""
    if len(content) > _LARGEST and b"\n" not in content:
        raise SecretUnavailable(
            f"the first line of {source} is longer than 64 kB.", fields=(where,)
        )
    line = content.split(b"\n", 1)[0].removesuffix(b"\r")
    if not line:
        raise SecretUnavailable(f"the first line of {source} is empty.", fields=(where,))
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SecretUnavailable(
            f"the first line of {source} is not UTF-8.", fields=(where,)
        ) from None
    return Secret(text)


def _no_program(reference: FromCommand, where: str) -> SecretUnavailable:
    return SecretUnavailable(
        f"the program {reference.command[0]} was not found on this machine.",
        fields=(where,),
        advice="Write a command as a list of the program and its arguments; no shell is involved.",
    )


def _from_command(reference: FromCommand, where: str, timeout: float) -> Secret:
    # Arguments can be confidential, so messages name only the program.
    program = os.path.expanduser(reference.command[0])  # noqa: PTH111  # a bare name stays one
    source = f"the program {reference.command[0]}"
    try:
        process = subprocess.Popen(
            [program, *reference.command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise _no_program(reference, where) from None
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "unknown").lower()
        raise SecretUnavailable(f"{source} cannot be started: {why}.", fields=(where,)) from None
    deadline = time.monotonic() + timeout
    with process.stdout or open(os.devnull, "rb") as stdout:  # noqa: PTH123  # never None here
        try:
            content = read_pipe(stdout.fileno(), _LARGEST + 1, deadline)
            if len(content) > _LARGEST:
                raise SecretUnavailable(f"{source} prints more than 64 kB.", fields=(where,))
            status = process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise SecretUnavailable(
                f"{source} did not finish within {timeout:g} seconds.",
                fields=(where,),
                advice="Is it waiting for something, such as a locked password store?",
            ) from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if status != 0:
        ended = f"exited with status {status}" if status > 0 else f"was killed by signal {-status}"
        raise SecretUnavailable(
            f"{source} {ended}.", fields=(where,), advice="Run it by hand to see its output."
        )
    return _first_line(content, where, f"the output of {source}")


def _import_keyring(where: str) -> object:
    try:
        import keyring
    except ImportError:
        raise SecretUnavailable(
            "reading the keyring needs the package keyring, which is not installed.",
            fields=(where,),
            advice="Install it with: pip install 'moorage[keyring]'.",
        ) from None
    return keyring


def _from_keyring(reference: FromKeyring, where: str) -> Secret:
    _import_keyring(where)
    import keyring

    try:
        value = keyring.get_password(KEYRING_SERVICE, reference.keyring)
    except Exception:  # backends raise anything, with any text in it
        raise SecretUnavailable(
            "the keyring cannot be opened.",
            fields=(where,),
            advice="It needs a desktop session; on a server use env, file or command.",
        ) from None
    if not value:
        raise SecretUnavailable(
            f"the keyring has no entry {reference.keyring} for {KEYRING_SERVICE}.",
            fields=(where,),
            advice=f"Add it with: keyring set {KEYRING_SERVICE} {reference.keyring}.",
        )
    return Secret(str(value))
