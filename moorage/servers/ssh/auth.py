"""Logging in to an SSH server: which keys and passwords are tried, and what a refusal means."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from paramiko import Message, SSHException, Transport
from paramiko.auth_handler import AuthHandler
from paramiko.common import cMSG_SERVICE_REQUEST, cMSG_USERAUTH_INFO_RESPONSE, cMSG_USERAUTH_REQUEST

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect
from moorage.servers.ssh.dial import HungUpError
from moorage.servers.ssh.keys import USUAL_FILES, Candidate, PassphraseWrongError, PublicKey

_MOST_KEYS = 5
"""Keys offered to a server: sshd hangs up after six attempts, and one is a password's."""
_PATIENCE = 30.0
"""Seconds to wait for the answer to one attempt."""


@dataclass(frozen=True)
class Credentials:
    """What there is to log in with.

    Attributes:
        user: Who logs in.
        server: The server's label, for errors and questions.
        place: Which machine this is, for people; differs from the label at a jump host.
        keys: The keys to offer, in order.
        notes: Keys that could not be used and why, for people.
        is_password_first: Whether the password was chosen over keys.
        passphrase: Finds the passphrase of a key, given its name.
        password: Finds the login password, or a key to try instead, given why the keys were not
            enough and which methods the server takes; None when there is neither.
    """

    user: str
    server: str
    place: str
    keys: list[Candidate]
    notes: list[str]
    is_password_first: bool
    passphrase: Callable[[str], Secret | None]
    password: Callable[[str, tuple[str, ...]], Secret | Candidate | None]


@dataclass
class _Tried:
    keys: list[Candidate] = field(default_factory=list)
    has_password: bool = False
    no_password_because: str = ""


class _DroppedError(Exception):
    """The server hung up."""


class _Attempts(AuthHandler):
    """The client's half of the authentication protocol (RFC 4252, RFC 4256).

    paramiko's own asks for the service before every attempt and waits for it, which costs a round
    trip each, and cannot ask whether a key would do without signing with it, which needs the
    passphrase of a key the server may not want.
    """

    def __init__(self, transport: Transport, user: str) -> None:
        super().__init__(transport)
        self._user = user
        self._service_requested = False
        self._answer: Callable[[list[tuple[str, bool]]], list[str]] | None = None
        self.methods: list[str] = []
        self.is_partial = False
        self.is_key_wanted = False
        self.is_password_expired = False
        transport.auth_handler = self

    def attempt(
        self,
        method: str,
        add: Callable[[Message], None],
        answer: Callable[[list[tuple[str, bool]]], list[str]] | None = None,
    ) -> bool:
        """Try to log in.

        Args:
            method: The method's name in the protocol.
            add: Adds what the method wants said.
            answer: Answers the questions of ``keyboard-interactive``.

        Returns:
            Whether it worked.
        """
        event = threading.Event()
        self.auth_event = event
        self.auth_method = method
        self._answer = answer
        self.is_partial = self.is_key_wanted = False
        if not self._service_requested:
            # The answer is not waited for: it comes before that to the attempt.
            self._service_requested = True
            service = Message()
            service.add_byte(cMSG_SERVICE_REQUEST)
            service.add_string("ssh-userauth")
            self._send(service)
        message = Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        message.add_string(self._user)
        message.add_string("ssh-connection")
        message.add_string(method)
        add(message)
        self._send(message)
        deadline = time.monotonic() + _PATIENCE
        while not event.wait(0.1):
            if not self.transport.is_active():
                raise _DroppedError
            if time.monotonic() > deadline:
                raise TimeoutError
        if not self.authenticated and not self.transport.is_active():
            raise _DroppedError
        return self.authenticated

    def _send(self, message: Message) -> None:
        self.transport._send_message(message)  # type: ignore[attr-defined]  # missing in the stubs

    def _parse_service_accept(self, message: Message) -> None:
        pass

    def _parse_userauth_failure(self, message: Message) -> None:
        self.methods = message.get_list()
        self.is_partial = message.get_boolean()
        if self.auth_event is not None:
            self.auth_event.set()

    def _parse_userauth_info_request(self, message: Message) -> None:
        # Number 60 means something else to each method.
        if self.auth_method == "publickey":
            self.is_key_wanted = True
        elif self.auth_method == "password":
            self.is_password_expired = True
        elif self._answer is not None:
            for _ in ("name", "instruction", "language"):
                message.get_string()
            questions = [
                (message.get_text(), message.get_boolean()) for _ in range(message.get_int())
            ]
            replies = self._answer(questions)
            response = Message()
            response.add_byte(cMSG_USERAUTH_INFO_RESPONSE)
            response.add_int(len(replies))
            for reply in replies:
                response.add_string(reply)
            self._send(response)
            return
        if self.auth_event is not None:
            self.auth_event.set()

    def session_blob(self, algorithm: str, blob: bytes) -> bytes:
        """What a key signs to prove that it is there (RFC 4252, section 7)."""
        message = Message()
        message.add_string(self.transport.session_id or b"")
        message.add_byte(cMSG_USERAUTH_REQUEST)
        message.add_string(self._user)
        message.add_string("ssh-connection")
        message.add_string("publickey")
        message.add_boolean(True)
        message.add_string(algorithm)
        message.add_string(blob)
        return message.asbytes()


class Login:
    """One login, made of as few attempts as will do.

    Args:
        transport: A connection whose host key was checked.
        credentials: What there is to log in with.
    """

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        self._transport = transport
        self._with = credentials
        self._attempts = _Attempts(transport, credentials.user)
        self._tried = _Tried()

    def log_in(self) -> None:
        """Log in.

        Raises:
            CannotConnect: The login is refused, or a passphrase is wrong.
        """
        steps = [self._try_keys, self._try_password]
        if self._with.is_password_first:
            steps.reverse()
        try:
            # A server may want two methods, one after the other: then each is gone through again.
            for step in (*steps, *steps):
                if step():
                    return
        except _DroppedError:
            raise self._refused(is_dropped=True) from None
        except TimeoutError as error:
            raise CannotConnect(
                f"The login of {self._with.user} was not answered within {_PATIENCE:.0f} seconds"
                f"{self._on()}.",
                advice="The server may be overloaded, or wait for a directory service (LDAP).",
                server=self._with.server,
                code="silent",
            ) from error
        except (SSHException, EOFError, OSError) as error:
            raise self._refused(is_dropped=True) from error
        raise self._refused(is_dropped=False)

    # -- keys ------------------------------------------------------------------------------------

    def _try_keys(self) -> bool:
        for candidate in self._with.keys[:_MOST_KEYS]:
            # By identity: several keys of an agent may have the same comment.
            was_tried = any(candidate is other for other in self._tried.keys)
            if was_tried or not self._is_allowed("publickey"):
                continue
            if self._try_key(candidate):
                return True
            if self._attempts.is_partial:
                break
        return False

    def _try_key(self, candidate: Candidate) -> bool:
        if candidate.is_locked and not self._unlock(candidate):
            return False
        self._tried.keys.append(candidate)
        offers = candidate.file.offers if candidate.file is not None else candidate.offers
        for offer in offers:
            if self._offer(candidate, offer):
                return True
            if self._attempts.is_partial:
                return False
        return False

    def _unlock(self, candidate: Candidate) -> bool:
        """Unlock a key, but do not ask anybody for the passphrase of a key the server rejects."""
        assert candidate.file is not None
        if len(self._with.keys) > 1 and candidate.offers and not self._is_wanted(candidate.offers):
            self._tried.keys.append(candidate)
            return False
        try:
            if candidate.file.unlock(lambda: self._with.passphrase(candidate.name)):
                return True
        except PassphraseWrongError as error:
            raise CannotConnect(
                f"The passphrase for the key {candidate.name} is wrong.",
                advice=f"Try it with 'ssh-keygen -y -f {candidate.file.path}'.",
                server=self._with.server,
                code="passphrase_wrong",
                refused=f"passphrase of {candidate.name}",
            ) from error
        self._with.notes.append(f"{candidate.name} (needs a passphrase, and none was given)")
        return False

    def _is_wanted(self, offers: tuple[PublicKey, ...]) -> bool:
        for offer in offers:

            def ask(message: Message, offer: PublicKey = offer) -> None:
                message.add_boolean(False)
                message.add_string(self._algorithm(offer.kind))
                message.add_string(offer.blob)

            self._attempts.attempt("publickey", ask)
            if self._attempts.is_key_wanted:
                return True
        return False

    def _offer(self, candidate: Candidate, offer: PublicKey) -> bool:
        algorithm = self._algorithm(offer.kind)
        signed = self._attempts.session_blob(algorithm, offer.blob)
        signing = algorithm.removesuffix("-cert-v01@openssh.com")
        if candidate.agent_key is not None:
            try:
                # The stubs say Message; it is what the agent sent.
                signature = bytes(candidate.agent_key.sign_ssh_data(signed, algorithm))
            except (SSHException, OSError):
                self._with.notes.append(f"{candidate.name} (the agent does not sign with it)")
                return False
        else:
            assert candidate.file is not None
            signature = candidate.file.sign(signed, signing)

        def add(message: Message) -> None:
            message.add_boolean(True)
            message.add_string(algorithm)
            message.add_string(offer.blob)
            message.add_string(signature)

        return self._attempts.attempt("publickey", add)

    def _algorithm(self, kind: str) -> str:
        """The signature algorithm for a key's type: for RSA that is another name (RFC 8332)."""
        if not kind.startswith("ssh-rsa"):
            return kind
        extensions: dict[str, bytes] = self._transport.server_extensions  # type: ignore[attr-defined]  # missing in the stubs
        known = extensions.get("server-sig-algs", b"")
        use_256 = known and b"rsa-sha2-512" not in known
        return kind.replace("ssh-rsa", "rsa-sha2-256" if use_256 else "rsa-sha2-512")

    # -- passwords -------------------------------------------------------------------------------

    def _try_password(self) -> bool:
        if self._tried.has_password or self._tried.no_password_because:
            return False
        # When nothing was tried yet, it is not known what the server takes.
        if not self._attempts.methods and self._attempts.attempt("none", lambda message: None):
            return True
        method = next(filter(self._is_allowed, ("password", "keyboard-interactive")), None)
        if method is None:
            self._tried.no_password_because = "the server takes no passwords"  # noqa: S105  # says why
            return False
        password = self._with.password(self._why_not(), tuple(self._attempts.methods))
        if isinstance(password, Candidate):
            self._tried.no_password_because = "that key was named instead of a password"  # noqa: S105
            self._with.keys.append(password)
            return self._try_key(password)
        if password is None:
            self._tried.no_password_because = "no password was given"  # noqa: S105
            return False
        self._tried.has_password = True
        done = self._send_password(method, password.reveal())
        if self._attempts.is_password_expired:
            raise CannotConnect(
                f"The password of {self._with.user} has expired{self._on()}.",
                advice=f"Log in with 'ssh {self._with.user}@{self._with.place}' once to change it.",
                server=self._with.server,
                code="login_refused",
                refused=self._password_name(),
            )
        return done

    def _send_password(self, method: str, password: str) -> bool:
        def add(message: Message) -> None:
            message.add_boolean(False)
            message.add_string(password)

        def add_interactive(message: Message) -> None:
            message.add_string("")  # language
            message.add_string("")  # submethods

        def answer(questions: list[tuple[str, bool]]) -> list[str]:
            # A question whose answer may be seen is not one for the password.
            return ["" if is_visible else password for _, is_visible in questions]

        if method == "password":
            return self._attempts.attempt(method, add)
        return self._attempts.attempt(method, add_interactive, answer)

    # -- what went wrong -------------------------------------------------------------------------

    def _is_allowed(self, method: str) -> bool:
        return not self._attempts.methods or method in self._attempts.methods

    def _on(self) -> str:
        return "" if self._with.place == self._with.server else f" on {self._with.place}"

    def _why_not(self) -> str:
        """Why the keys were not enough, for whoever is asked for more."""
        if self._attempts.is_partial:
            return f"The server wants a password of {self._with.user} besides the key{self._on()}."
        tried = self._tried.keys
        held = sum(each.agent_key is not None for each in tried)
        parts = [f"{held} key{'s' if held != 1 else ''} of the ssh agent"] if held else []
        parts += [each.name for each in tried if each.agent_key is None]
        if parts:
            why = f"No key is accepted for {self._with.user}{self._on()}. "
            why += f"Tried: {', '.join(parts)}."
        else:
            why = f"There is no key to log in with as {self._with.user}{self._on()}: the ssh agent "
            why += f"has none, and there is none of {', '.join(USUAL_FILES)} in ~/.ssh."
        if self._with.notes:
            why += f" Not used: {', '.join(self._with.notes)}."
        return why

    def _refused(self, *, is_dropped: bool) -> CannotConnect:
        tried = [f"the key {candidate.name}" for candidate in self._tried.keys]
        if self._tried.has_password:
            tried.append("a password")
        message = f"The login of {self._with.user} is refused{self._on()}"
        message += f"; tried: {', '.join(tried)}" if tried else "; there is no key to try"
        if self._tried.no_password_because:
            message += f"; {self._tried.no_password_because}"
        message += "."
        if self._with.notes:
            message += f" Not used: {', '.join(self._with.notes)}."
        left = len(self._with.keys) - len(self._tried.keys)
        if is_dropped:
            message += " The server hung up during the login."
        kind = HungUpError if is_dropped else CannotConnect
        advice = "Check the user's name, and that their ~/.ssh/authorized_keys holds the key."
        if left > 0 and self._tried.keys:
            advice = f"{left} more keys were not tried: name the right one as the server's key."
        elif self._tried.has_password:
            advice = "Check the user's name and the password."
        return kind(
            message,
            advice=advice,
            server=self._with.server,
            code="login_refused",
            refused=self._password_name(),
        )

    def _password_name(self) -> str:
        """What the password is called where it is asked for."""
        return f"password of {self._with.user}{self._on()}"
