"""Looks at deployments without changing anything: their state, a server's record, their logs."""

from __future__ import annotations

import datetime
import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorage.errors import MoorageError
from moorage.state import private_folder, write_private
from tui.labels import in_words

if TYPE_CHECKING:
    from moorage.answers.model import Answers, Server
    from moorage.answers.secrets import Secret
    from moorage.deploy.discovery import FoundDeployment
    from moorage.deploy.operations import OpenTransport
    from moorage.deploy.status import Status
    from moorage.servers.transport import Asker, Cancel, HostKey
    from tui.questions.asker import WizardAsker

STATES = {
    "healthy": ("✓", "$text-success"),
    "drifted": ("~", "$text-warning"),
    "attention": ("!", "$text-warning"),
    "unreachable": ("✗", "$text-error"),
    "unknown": ("?", "$text-muted"),
}
"""How a deployment may be, each with its sign and colour."""


@dataclass(frozen=True)
class Live:
    """How a deployment was when it was last looked at.

    Attributes:
        state: A key of :data:`STATES`.
        detail: Why, in a few words.
        days_left: Of the certificate that expires first; None without one.
        at: When, seconds since 1970.
    """

    state: str
    detail: str = ""
    days_left: int | None = None
    at: float = field(default_factory=time.time)

    @property
    def words(self) -> str:
        """The state for people."""
        if self.state == "attention":
            parts = [f"needs attention: {self.detail}" if self.detail else "needs attention"]
        else:
            parts = [self.state, self.detail] if self.detail else [self.state]
        if self.days_left is not None:
            parts.append(f"certificate {self.days_left} days")
        return ", ".join(parts)

    @property
    def when(self) -> str:
        """When it was, for people."""
        then = datetime.datetime.fromtimestamp(self.at).astimezone()
        today = datetime.datetime.now().astimezone().date()
        return f"{then:%H:%M}" if then.date() == today else f"{then:%Y-%m-%d %H:%M}"


def live_of(status: Status) -> Live:
    """Return how a deployment is, in one word and a few more."""
    days = [each.certificate.days_left for each in status.servers if each.certificate]
    left = min(days, default=None)
    if status.unreached:
        names = ", ".join(error.server or "a server" for error in status.unreached)
        if all(error.code in _WANTS_SECRET for error in status.unreached):
            return Live("unknown", f"{names}: a secret is wanted", left)
        return Live("unreachable", names, left)
    drifted = sum(len(each.drifted) for each in status.servers)
    faults = [fault for each in status.servers for fault in each.faults]
    if len(faults) > drifted:
        return Live("attention", faults[0].rstrip("."), left)
    if drifted:
        return Live("drifted", f"{drifted} file{'s' if drifted != 1 else ''}", left)
    return Live("healthy", "", left)


_WANTS_SECRET = {
    "sudo_refused", "sudo_password_missing", "sudo_password_wrong", "passphrase_wrong",
    "host_key_unknown", "login_refused",
}  # fmt: skip
"""What somebody who opens the deployment is asked for."""


class _Nobody:
    """Refuses every question: what is looked at in passing must not ask."""

    def accept_host_key(self, key: HostKey) -> bool:
        """Trust nothing new."""
        return False

    def secret(self, what: str, server: str | None) -> Secret | None:
        """Know nothing."""
        return None


def look(
    answers: Answers,
    asker: Asker | None = None,
    open_transport: OpenTransport | None = None,
    cancel: Cancel | None = None,
) -> Status:
    """Read all servers of a deployment. Blocks.

    Args:
        answers: The answers.
        asker: Who is asked; None asks nobody.
        open_transport: Opens a connection; None goes over SSH.
        cancel: Ends it early when set.
    """
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.status import status_from

    with Deployment(answers, asker or _Nobody(), open_transport=open_transport) as deployment:
        if cancel is not None:
            deployment.cancel = cancel
        return status_from(deployment, deployment.probe_each(), with_plan=False)


def look_at_file(path: Path, open_transport: OpenTransport | None = None) -> Live:
    """Look at the deployment of a file, asking nobody, and keep what was seen. Blocks."""
    from tui.document.reading import open_path

    try:
        live = live_of(look(open_path(path).draft.answers_to_look(), None, open_transport))
    except MoorageError as error:
        live = Live("unknown", "the answers are not finished" if error.exit_code == 2 else "")
    _keep(path, live)
    return live


def last_seen() -> dict[str, Live]:
    """Return how deployments were when they were last looked at, by path."""
    try:
        rows = json.loads(_file().read_text(encoding="utf-8"))
        return {path: Live(**row) for path, row in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


_lock = threading.Lock()


def _keep(path: Path, live: Live) -> None:
    with _lock:
        known = last_seen() | {str(path): live}
        kept = {each: asdict(seen) for each, seen in known.items() if Path(each).is_file()}
        write_private(_file(), json.dumps(kept, indent=1).encode())


def _file() -> Path:
    return private_folder() / "seen.json"


@dataclass(frozen=True)
class Found:
    """A deployment that was read from servers.

    Attributes:
        deployment: What they say of it.
        at: When it was applied, seconds since 1970; None where they do not say.
    """

    deployment: FoundDeployment
    at: float | None = None


def read_servers(
    servers: Sequence[Server], asker: Asker, open_transport: OpenTransport | None = None
) -> Found:
    """Read what is deployed from servers alone. Blocks.

    Args:
        servers: The servers that the operator named; no other is connected to.
        asker: Who is asked for host keys and secrets.
        open_transport: Opens a connection; None goes over SSH.

    Raises:
        MoorageError: None can be reached, or Moorage was never on one of them.
    """
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.deployment_json import deployed_at
    from moorage.deploy.discovery import answers_for, find_deployment
    from moorage.servers.facts import Facts

    with Deployment(answers_for(servers), asker, open_transport=open_transport) as deployment:
        read = deployment.probe_each()
    found = find_deployment(servers, read)
    return Found(found, deployed_at(each for each in read if isinstance(each, Facts)))


_JOURNAL = re.compile(r"^(\d+-\d+-\d+)T([\d:]+)\S* (\S+)\[\d+\]: (time=\"[^\"]*\" )?")


_ALWAYS_THE_SAME = re.compile(r" (?:go\.version|instance\.id|service|version)=\S+")


def without_repetition(line: str) -> str:
    """Return a line of the journal with the time once, and who wrote it if not the registry."""
    found = _JOURNAL.match(line)
    if found is None:
        return line
    day, clock, program, own_time = found.groups()
    words = line[found.end() :]
    words = _ALWAYS_THE_SAME.sub("", words) if own_time else f"{program}: {words}"
    return f"{day} {clock} {words}"


class LogTail:
    """The registry's journal and nginx's errors of all servers, as they come.

    Args:
        answers: Whose servers.
        asker: Who is asked for secrets.
        on_lines: Takes a server's label and lines; called in threads.
        open_transport: Opens a connection; None goes over SSH.
    """

    def __init__(
        self,
        answers: Answers,
        asker: WizardAsker,
        on_lines: Callable[[str, Sequence[str]], object],
        open_transport: OpenTransport | None = None,
    ) -> None:
        self._answers = answers
        self._asker = asker
        from moorage.servers.transport import Cancel

        self._on_lines = on_lines
        self._open_transport = open_transport
        self._cancel = Cancel()

    def start(self) -> None:
        """Begin to follow, with a thread for each server."""
        for server in self._answers.servers:
            threading.Thread(target=self._follow, args=(server,), daemon=True).start()

    def stop(self) -> None:
        """End it; the servers' side ends with its connection."""
        self._cancel.set()

    def _follow(self, server: Server) -> None:
        from moorage.answers.resolve import Resolver
        from moorage.servers.connect import open_transport as open_over_ssh
        from templates.load import shell_script

        resolver = Resolver(self._asker.secret)

        def resolve(reference: Any, what: str) -> Secret | None:
            return None if reference is None else resolver.resolve(
                reference, f"{what} of {server.host}")  # fmt: skip

        transport = (self._open_transport or open_over_ssh)(server, self._asker, resolve)
        rest = b""

        def take(data: bytes) -> None:
            nonlocal rest
            *lines, rest = (rest + data).split(b"\n")
            told = [without_repetition(line.decode("utf-8", "replace")) for line in lines]
            self._on_lines(server.host, told)

        try:
            transport.connect()
            # Its standard input stays open, and ends with the connection.
            transport.run(shell_script("logs.sh"), on_stdout=take,
                          on_start=lambda exchange: None, cancel=self._cancel)  # fmt: skip
        except MoorageError as error:
            self._asker.forget_refused(error)
            if not self._cancel.is_set:
                self._on_lines(server.host, [in_words(f"✗ {error.message} {error.hint}".strip())])
        finally:
            transport.close()
