"""SSH authentication: the keys and passwords to try, and the errors for failed logins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from paramiko import Message, SSHException, Transport
from paramiko.auth_handler import AuthHandler
from paramiko.common import cMSG_SERVICE_REQUEST, cMSG_USERAUTH_INFO_RESPONSE, cMSG_USERAUTH_REQUEST

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect, SecretName
from moorage.servers.ssh.dial import HungUpError
from moorage.servers.ssh.keys import USUAL_FILES, Candidate, PassphraseWrongError, PublicKey
from moorage.servers.transport import MOST_PROMPTS

_MOST_KEYS = 5
"""Keys to offer: sshd disconnects after six attempts, and one is reserved for a password."""
_ATTEMPT_TIMEOUT = 30.0
"""Seconds to wait for the reply to one attempt."""


@dataclass(frozen=True)
class Credentials:
    """The credentials for one login.

    Attributes:
        user: The user to log in as.
        server: The server's label, for errors and questions.
        machine: The machine's name as shown to users; differs from the label on a jump host.
        keys: The keys to offer, in order.
        notes: Keys that could not be used, with the reason, as shown to users.
        is_password_first: Whether to try the password before the keys.
        passphrase: Returns the passphrase of a key, given its name and the previous answer, if that
            was wrong.
        password: Returns the login password, or a key to try instead, given why it is needed, which
            methods the server accepts, and the previous answer, if that was wrong; None if there is
            neither.
    """

    user: str
    server: str
    machine: str
    keys: list[Candidate]
    notes: list[str]
    is_password_first: bool
    passphrase: Callable[[str, Secret | None], Secret | None]
    password: Callable[[str, tuple[str, ...], Secret | None], Secret | Candidate | None]


@dataclass
class _TriedCredentials:
    keys: list[Candidate] = field(default_factory=list)
    has_password: bool = False
    no_password_because: str = ""


class _DroppedError(Exception):
    """The server closed the connection."""


class _Attempts(AuthHandler):
    """The client side of the authentication protocol (RFC 4252, RFC 4256).

    paramiko's own requests the service before every attempt and waits for the reply, which costs a
    round trip each. It also cannot ask whether the server would accept a key before signing with
    it, and so needs passphrases of keys that the server rejects.
    """

    def __init__(self, transport: Transport, user: str) -> None:
        super().__init__(transport)
        self._user = user
        self._service_requested = False
        self._answer: Callable[[list[tuple[str, bool]]], list[str]] | None = None
        self.methods: list[str] = []
        self.is_partial = False
        self.is_key_accepted = False
        self.is_password_expired = False
        transport.auth_handler = self

    def attempt(
        self,
        method: str,
        add: Callable[[Message], None],
        answer: Callable[[list[tuple[str, bool]]], list[str]] | None = None,
    ) -> bool:
        """Make one authentication attempt.

        Args:
            method: The method's name in the protocol.
            add: Adds the method's fields to the message.
            answer: Answers the prompts of ``keyboard-interactive``.

        Returns:
            Whether it succeeded.
        """
        event = threading.Event()
        self.auth_event = event
        self.auth_method = method
        self._answer = answer
        self.is_partial = self.is_key_accepted = False
        if not self._service_requested:
            # No need to wait for the reply: it precedes the reply to the attempt.
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
        deadline = time.monotonic() + _ATTEMPT_TIMEOUT
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
        # Message number 60 has a different meaning in each method.
        if self.auth_method == "publickey":
            self.is_key_accepted = True
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
        """Return the data that a key signs as proof of possession (RFC 4252, section 7)."""
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
    """One login, with as few attempts as possible.

    Args:
        transport: A connection whose host key was verified.
        credentials: The credentials.
    """

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        self._transport = transport
        self._credentials = credentials
        self._attempts = _Attempts(transport, credentials.user)
        self._tried = _TriedCredentials()

    def log_in(self) -> None:
        """Log in.

        Raises:
            CannotConnect: The login failed, or a passphrase is wrong.
        """
        steps = [self._try_keys, self._try_password]
        if self._credentials.is_password_first:
            steps.reverse()
        try:
            # A server can require two methods in succession, so every step gets a second chance.
            for step in (*steps, *steps):
                if step():
                    return
        except _DroppedError:
            raise self._refused(is_dropped=True) from None
        except TimeoutError as error:
            raise CannotConnect(
                f"The login as {self._credentials.user} was not answered within "
                f"{_ATTEMPT_TIMEOUT:.0f} seconds"
                f"{self._on()}.",
                advice="The server may be overloaded, or waiting for a directory service (LDAP).",
                server=self._credentials.server,
                code="silent",
            ) from error
        except (SSHException, EOFError, OSError) as error:
            raise self._refused(is_dropped=True) from error
        raise self._refused(is_dropped=False)

    # -- keys ------------------------------------------------------------------------------------

    def _try_keys(self) -> bool:
        for candidate in self._credentials.keys[:_MOST_KEYS]:
            # Compare by identity: several agent keys can have the same comment.
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
        """Unlock a key, but do not ask for the passphrase if the server rejects the key."""
        assert candidate.file is not None
        if (
            len(self._credentials.keys) > 1
            and candidate.offers
            and not self._is_acceptable(candidate.offers)
        ):
            self._tried.keys.append(candidate)
            return False
        try:
            if candidate.file.unlock(
                lambda rejected: self._credentials.passphrase(candidate.name, rejected)
            ):
                return True
        except PassphraseWrongError as error:
            raise CannotConnect(
                f"The passphrase for the key {candidate.name} is wrong.",
                advice=f"Try it with 'ssh-keygen -y -f {candidate.file.path}'.",
                server=self._credentials.server,
                code="passphrase_wrong",
                refused=SecretName("passphrase", candidate.name),
            ) from error
        self._credentials.notes.append(f"{candidate.name} (needs a passphrase, and none was given)")
        return False

    def _is_acceptable(self, offers: tuple[PublicKey, ...]) -> bool:
        for offer in offers:

            def ask(message: Message, offer: PublicKey = offer) -> None:
                message.add_boolean(False)
                message.add_string(self._algorithm(offer.kind))
                message.add_string(offer.blob)

            self._attempts.attempt("publickey", ask)
            if self._attempts.is_key_accepted:
                return True
        return False

    def _offer(self, candidate: Candidate, offer: PublicKey) -> bool:
        algorithm = self._algorithm(offer.kind)
        signed = self._attempts.session_blob(algorithm, offer.blob)
        signing = algorithm.removesuffix("-cert-v01@openssh.com")
        if candidate.agent_key is not None:
            try:
                # The stubs say Message, but these are the bytes from the agent.
                signature = bytes(candidate.agent_key.sign_ssh_data(signed, algorithm))
            except (SSHException, OSError):
                self._credentials.notes.append(f"{candidate.name} (the agent refused to sign)")
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
        """Return the signature algorithm for a key type; for RSA the name differs (RFC 8332)."""
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
        # Without a previous attempt, the server's methods are not known yet.
        if not self._attempts.methods and self._attempts.attempt("none", lambda message: None):
            return True
        method = next(filter(self._is_allowed, ("password", "keyboard-interactive")), None)
        if method is None:
            self._tried.no_password_because = "the server does not accept passwords"  # noqa: S105  # a reason
            return False
        reason, rejected = self._why_not(), None
        for _ in range(MOST_PROMPTS):
            methods = tuple(self._attempts.methods)
            password = self._credentials.password(reason, methods, rejected)
            if isinstance(password, Candidate):
                self._tried.no_password_because = "a key was chosen instead of a password"  # noqa: S105
                self._credentials.keys.append(password)
                return self._try_key(password)
            if password is None:
                break
            if self._is_right_password(method, password):
                return True
            if self._attempts.is_partial or not self._is_allowed(method):
                break
            reason = f"The server rejected the password of {self._credentials.user}{self._on()}."
            rejected = password
        if not self._tried.has_password:
            self._tried.no_password_because = "no password was given"  # noqa: S105
        return False

    def _is_right_password(self, method: str, password: Secret) -> bool:
        self._tried.has_password = True
        done = self._send_password(method, password.reveal())
        if self._attempts.is_password_expired:
            raise CannotConnect(
                f"The password of {self._credentials.user} has expired{self._on()}.",
                advice="Log in once with "
                f"'ssh {self._credentials.user}@{self._credentials.machine}' to change it.",
                server=self._credentials.server,
                code="login_refused",
                refused=self._password_name(),
                may_need_key=False,
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
            # A prompt whose answer is echoed does not ask for the password.
            return ["" if is_echoed else password for _, is_echoed in questions]

        if method == "password":
            return self._attempts.attempt(method, add)
        return self._attempts.attempt(method, add_interactive, answer)

    # -- what went wrong -------------------------------------------------------------------------

    def _is_allowed(self, method: str) -> bool:
        return not self._attempts.methods or method in self._attempts.methods

    def _on(self) -> str:
        return (
            ""
            if self._credentials.machine == self._credentials.server
            else f" on {self._credentials.machine}"
        )

    def _why_not(self) -> str:
        """Say why the keys were not enough."""
        if self._attempts.is_partial:
            return (
                "In addition to the key, the server requires the password of "
                f"{self._credentials.user}{self._on()}."
            )
        tried = self._tried.keys
        agent_keys = sum(each.agent_key is not None for each in tried)
        plural = "s" if agent_keys != 1 else ""
        parts = [f"{agent_keys} key{plural} from the ssh agent"] if agent_keys else []
        parts += [each.name for each in tried if each.agent_key is None]
        if parts:
            why = f"No key was accepted for {self._credentials.user}{self._on()}. "
            why += f"Tried: {', '.join(parts)}."
        else:
            why = (
                f"There is no key to log in as {self._credentials.user}{self._on()}: the ssh agent "
            )
            why += f"has none, and ~/.ssh has none of {', '.join(USUAL_FILES)}."
        if self._credentials.notes:
            why += f" Not used: {', '.join(self._credentials.notes)}."
        return why

    def _refused(self, *, is_dropped: bool) -> CannotConnect:
        tried = [f"the key {candidate.name}" for candidate in self._tried.keys]
        if self._tried.has_password:
            tried.append("a password")
        message = f"The login as {self._credentials.user} was refused{self._on()}"
        message += f"; tried: {', '.join(tried)}" if tried else "; there is no key to try"
        if self._tried.no_password_because:
            message += f"; {self._tried.no_password_because}"
        message += "."
        if self._credentials.notes:
            message += f" Not used: {', '.join(self._credentials.notes)}."
        left = len(self._credentials.keys) - len(self._tried.keys)
        if is_dropped:
            message += " The server closed the connection during the login."
        kind = HungUpError if is_dropped else CannotConnect
        advice = "Check the user name, and that the key is in their ~/.ssh/authorized_keys."
        if left > 0 and self._tried.keys:
            advice = f"{left} more keys were not tried: set the right one as the server's key."
        elif self._tried.has_password:
            advice = "Check the user name and the password."
        return kind(
            message,
            advice=advice,
            server=self._credentials.server,
            code="login_refused",
            refused=self._password_name(),
            may_need_key=bool(self._tried.keys) or not self._tried.has_password,
        )

    def _password_name(self) -> SecretName:
        """Return the password's name as used in prompts."""
        return SecretName("password", f"{self._credentials.user}{self._on()}")
