"""A deployment as the commands use it: opened with progress, an asker and Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from moorage.cli.asker import CommandLineAsker
from moorage.cli.errors import WasInterruptedError, WrongUsageError
from moorage.cli.foreground import Desk
from moorage.cli.progress import Progress, show_progress
from moorage.cli.session import Session
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import Event
from moorage.deploy.operations import Operations
from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.answers.model import Answers

_Result = TypeVar("_Result")


@dataclass
class Engine:
    """An open deployment and what belongs to it on the command line.

    Attributes:
        operations: What can be done with the deployment.
        asker: Who is asked.
        desk: Waits for the deployment, and knows about Ctrl-C.
    """

    session: Session
    operations: Operations
    asker: CommandLineAsker
    desk: Desk
    _servers: Sequence[str]
    _progress: Progress

    @property
    def deployment(self) -> Deployment:
        """The deployment."""
        return self.operations.deployment

    def do(
        self,
        work: Callable[[], _Result],
        on_interrupt: Callable[[], None],
        *,
        with_log: bool = True,
    ) -> _Result:
        """Do something while its progress is shown.

        Args:
            work: What is done, in a thread of its own.
            on_interrupt: What the first Ctrl-C does; it should make the work end soon.
            with_log: Whether a live table shows log lines, too.

        Raises:
            WasInterruptedError: A second Ctrl-C left the work to itself.
        """
        self._progress = show_progress(self.session, self._servers, with_log=with_log)
        self.asker.pause = self._progress.pause
        try:
            with self._progress:
                return self.desk.wait_for(work, on_interrupt)
        finally:
            self.asker.pause = Progress(self.session).pause

    def look(self, work: Callable[[], _Result]) -> _Result:
        """Do something that changes nothing on any server; Ctrl-C ends it.

        Args:
            work: What is done.

        Raises:
            WasInterruptedError: Ctrl-C was pressed.
        """

        def stop() -> None:
            self.deployment.cancel.set()
            self.deployment.close()

        try:
            result = self.do(work, stop)
        except MoorageError as error:
            if self.desk.is_interrupted:
                raise WasInterruptedError("Interrupted. No server was changed.") from error
            raise
        if self.desk.is_interrupted:
            raise WasInterruptedError("Interrupted. No server was changed.")
        return result

    def ask_dns(self, work: Callable[[], _Result], *, changes: bool = False) -> _Result:
        """Do something with name servers, which no server's line could show; Ctrl-C ends it.

        Args:
            work: What is done.
            changes: Whether it changes something: then what came of it counts in any case.

        Raises:
            WasInterruptedError: Ctrl-C was pressed.
        """
        try:
            result = self.desk.wait_for(work, self.deployment.cancel.set)
        except MoorageError as error:
            if self.desk.is_interrupted:
                raise WasInterruptedError("Interrupted.") from error
            raise
        if self.desk.is_interrupted and not changes:
            raise WasInterruptedError("Interrupted. Nothing was changed.")
        return result

    def continue_with(self, answers: Answers) -> None:
        """Work on the servers of other answers from now on, over the connections that are open.

        Args:
            answers: What was found out about the deployment.
        """
        self.operations.continue_with(answers)
        self.asker.answers = answers
        self._servers = [server.host for server in answers.servers]

    def narrate(self, text: str) -> None:
        """Say something while progress is shown; may be called in any thread."""
        with self._progress.pause():
            self.session.narrate(text)

    def show(self, event: Event) -> None:
        """Show an event; called from several threads."""
        self._progress.on_event(event)


@contextmanager
def open_engine(
    session: Session,
    answers: Answers,
    *,
    limit: Sequence[str] = (),
    accepted_host_keys: Sequence[str] = (),
) -> Iterator[Engine]:
    """Open a deployment; its connections are closed at the end.

    Args:
        session: The session; it redacts what the deployment learns.
        answers: The answers.
        limit: The servers to work on; all when empty.
        accepted_host_keys: See :class:`moorage.cli.asker.CommandLineAsker`.

    Raises:
        WrongUsageError: A server of ``limit`` is not in the answers.
    """
    desk = Desk()
    asker = CommandLineAsker(session, desk, accepted_host_keys, answers)
    opened: list[Engine] = []

    def show(event: Event) -> None:
        opened[0].show(event)

    operations = Operations(asker, show)
    try:
        operations.open(answers, limit)
    except MoorageError as error:
        if error.code == "unknown_server":
            raise WrongUsageError(error.message, code=error.code) from error
        raise
    session.redact = operations.redactor.redact
    servers = [server.host for server in answers.servers if not limit or server.host in limit]
    engine = Engine(session, operations, asker, desk, servers, Progress(session))
    opened.append(engine)
    try:
        yield engine
    finally:
        engine.deployment.close()
