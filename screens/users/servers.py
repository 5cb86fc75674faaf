"""The users of one deployment, as the screen reads and changes them: calls that block."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.answers.model import Answers
from moorage.deploy.connections import close_aside
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import Event
from moorage.deploy.last_seen import Seen, merge_seen, read_seen
from moorage.deploy.remote_file import read_file
from moorage.deploy.report import ApplyReport
from moorage.deploy.users_change import UsersPlan, UsersRead, change_users, plan_change, read_users
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError
from tui.events import EventQueue
from tui.questions.asker import WizardAsker

if TYPE_CHECKING:
    from moorage.deploy.operations import OpenTransport


@dataclass(frozen=True)
class SeenRead:
    """When users were last here.

    Attributes:
        times: By user.
        left_out: The servers whose logs could not be read.
    """

    times: Mapping[str, Seen]
    left_out: tuple[str, ...]


class UsersEngine:
    """Reads and changes the users. Its methods block: call them in threads.

    Args:
        answers: Whose servers.
        asker: Who is asked for host keys and secrets.
        open_transport: Opens a connection; None goes over SSH.
        left_out: Why other servers of the deployment are not connected to.
    """

    def __init__(
        self,
        answers: Answers,
        asker: WizardAsker,
        open_transport: OpenTransport | None = None,
        left_out: Sequence[MoorageError] = (),
    ) -> None:
        self.servers = tuple(server.host for server in answers.servers)
        self._answers = answers
        self._asker = asker
        self._open_transport = open_transport
        self._left_out = left_out
        self._lock = threading.Lock()
        self._deployment: Deployment | None = None
        self._events = EventQueue()

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        return self._events.take()

    def read(self) -> UsersRead:
        """Read the users of all servers; see :func:`moorage.deploy.users_change.read_users`."""
        deployment = self._open()
        try:
            read = read_users(deployment, self._left_out)
        except MoorageError as error:
            self._asker.forget_refused(error)
            raise
        self._asker.forget_refused(*read.unreached)
        return read

    def plan(
        self, read: UsersRead, users: Sequence[RegistryUser], *, without_unreached: bool
    ) -> UsersPlan:
        """Return what a change does to every server; see ``users_change.plan_change``."""
        return plan_change(read, users, without_unreached=without_unreached)

    def change(self, plan: UsersPlan) -> ApplyReport:
        """Change the users on all servers as one act; see ``users_change.change_users``."""
        return change_users(self._open(), plan)

    def read_file(self, server: str, path: str) -> bytes:
        """Return the content of a file on a server.

        Raises:
            MoorageError: The server cannot be reached, or has no such file.
        """
        with Deployment(
            self._answers, self._asker, limit=[server], open_transport=self._open_transport
        ) as deployment:
            found = read_file(deployment, path, [server])
        if server not in found:
            raise MoorageError(f"There is no file {path}.", server=server, code="no_such_file")
        return found[server]

    def read_seen(self) -> SeenRead:
        """Return when each user was last here, on any server, as far as their logs go back."""
        found = read_seen(self._open())
        left_out = tuple(server for server in self.servers if server not in found)
        return SeenRead(merge_seen(found), left_out)

    def stop_change(self) -> None:
        """Make the change that goes on stop; every server is put back."""
        if self._deployment is not None:
            self._deployment.abort()

    def stop(self) -> None:
        """Close all connections."""
        with self._lock:
            deployment, self._deployment = self._deployment, None
        if deployment is None:
            return
        deployment.cancel.set()
        close_aside(deployment.close)
        self._asker.give_up()

    def _open(self) -> Deployment:
        """Return the deployment, whose connections are kept between reading and changing."""
        with self._lock:
            if self._deployment is None:
                self._deployment = Deployment(
                    self._answers,
                    self._asker,
                    self._events.put,
                    open_transport=self._open_transport,
                )
            return self._deployment
