"""Read and change the users of a deployment for the screen, with calls that block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moorage.answers.model import Answers
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import Event
from moorage.deploy.operations import Operations
from moorage.deploy.remote_file import read_file
from moorage.deploy.run.report import ApplyReport
from moorage.deploy.users.change import UsersPlan, UsersRead
from moorage.deploy.users.last_seen import SeenRead
from moorage.errors import MoorageError
from tui.events import EventQueue
from tui.questions.asker import WizardAsker

if TYPE_CHECKING:
    from moorage.deploy.operations import OpenTransport


class UsersOnServers:
    """Reads and changes the users. Its methods block, so call them in threads.

    Args:
        answers: The deployment's answers.
        asker: Asks the operator for host keys and secrets.
        open_transport: Opens a connection; None goes over SSH.
        left_out: Why Moorage does not connect to other servers of the deployment.
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
        self._events = EventQueue()
        self._operations = Operations(asker, self._events.put, open_transport)

    def events(self) -> list[Event]:
        """Return the events since the last call, in order."""
        return self._events.take()

    def read(self) -> UsersRead:
        """Read the users of all servers, and keep the connections for a change."""
        if not self._operations.is_open:
            self._operations.open(self._answers)
        return self._operations.read_users(self._left_out)

    def change(self, plan: UsersPlan) -> ApplyReport:
        """Change the users on all servers, or on none."""
        return self._operations.change_users(plan)

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
            raise MoorageError(f"No such file: {path}.", server=server, code="no_such_file")
        return found[server]

    def read_seen(self) -> SeenRead:
        """Return when each user last logged in and pushed."""
        return self._operations.read_last_seen()

    def stop_change(self) -> None:
        """Stop the running change; every server is rolled back."""
        self._operations.abort()

    def stop(self) -> None:
        """Close all connections."""
        if self._operations.is_open:
            self._operations.stop()
