"""Run a deployment's operations with progress, prompts and Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from moorage.cli.asker import CommandLineAsker
from moorage.cli.errors import WasInterruptedError, WrongUsageError
from moorage.cli.main_thread import MainThread
from moorage.cli.output import Output
from moorage.cli.progress import Progress, show_progress
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import Event
from moorage.deploy.operations import Operations
from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.answers.model import Answers

_Result = TypeVar("_Result")


@dataclass
class Runner:
    """An open deployment with its progress, prompts and Ctrl-C handling.

    Attributes:
        operations: The deployment's operations.
        asker: Prompts the operator.
        main_thread: Waits for operations and handles Ctrl-C.
    """

    output: Output
    operations: Operations
    asker: CommandLineAsker
    main_thread: MainThread
    _servers: Sequence[str]
    _progress: Progress

    @property
    def deployment(self) -> Deployment:
        """The deployment."""
        return self.operations.deployment

    def run(
        self,
        work: Callable[[], _Result],
        on_interrupt: Callable[[], None],
        *,
        with_log: bool = True,
    ) -> _Result:
        """Run a function in a thread and show its progress.

        Args:
            work: The function.
            on_interrupt: Called on the first Ctrl-C; makes the function return soon.
            with_log: Whether a live table also shows log lines.

        Raises:
            WasInterruptedError: A second Ctrl-C abandoned the function.
        """
        self._progress = show_progress(self.output, self._servers, with_log=with_log)
        self.asker.pause = self._progress.pause
        try:
            with self._progress:
                return self.main_thread.wait_for(work, on_interrupt)
        finally:
            self.asker.pause = Progress(self.output).pause

    def query(self, work: Callable[[], _Result]) -> _Result:
        """Run a function that changes nothing on the servers; Ctrl-C ends it.

        Args:
            work: The function.

        Raises:
            WasInterruptedError: Ctrl-C was pressed.
        """

        def stop() -> None:
            self.deployment.cancel.set()
            self.deployment.close()

        try:
            result = self.run(work, stop)
        except MoorageError as error:
            if self.main_thread.is_interrupted:
                raise WasInterruptedError("Interrupted. No server was changed.") from error
            raise
        if self.main_thread.is_interrupted:
            raise WasInterruptedError("Interrupted. No server was changed.")
        return result

    def query_dns(self, work: Callable[[], _Result], *, changes: bool = False) -> _Result:
        """Run a function that talks to name servers only, without progress; Ctrl-C ends it.

        Args:
            work: The function.
            changes: Whether it changes records: then its result is returned even after Ctrl-C.

        Raises:
            WasInterruptedError: Ctrl-C was pressed.
        """
        try:
            result = self.main_thread.wait_for(work, self.deployment.cancel.set)
        except MoorageError as error:
            if self.main_thread.is_interrupted:
                raise WasInterruptedError("Interrupted.") from error
            raise
        if self.main_thread.is_interrupted and not changes:
            raise WasInterruptedError("Interrupted. Nothing was changed.")
        return result

    def continue_with(self, answers: Answers) -> None:
        """Switch to other answers, keeping open connections.

        Args:
            answers: The new answers.
        """
        self.operations.continue_with(answers)
        self.asker.answers = answers
        self._servers = [server.host for server in answers.servers]

    def message(self, text: str) -> None:
        """Print a line on stderr while progress is shown; thread-safe."""
        with self._progress.pause():
            self.output.message(text)

    def show(self, event: Event) -> None:
        """Show an event; thread-safe."""
        self._progress.on_event(event)


@contextmanager
def open_deployment(
    output: Output,
    answers: Answers,
    *,
    limit: Sequence[str] = (),
    accepted_host_keys: Sequence[str] = (),
) -> Iterator[Runner]:
    """Open a deployment; leaving the context closes its connections.

    Args:
        output: The output; the deployment sets what it redacts.
        answers: The answers.
        limit: The servers to work on; all when empty.
        accepted_host_keys: See :class:`moorage.cli.asker.CommandLineAsker`.

    Raises:
        WrongUsageError: A server of ``limit`` is not in the answers.
    """
    main_thread = MainThread()
    asker = CommandLineAsker(output, main_thread, accepted_host_keys, answers)
    opened: list[Runner] = []

    def show(event: Event) -> None:
        opened[0].show(event)

    operations = Operations(asker, show)
    try:
        operations.open(answers, limit)
    except MoorageError as error:
        if error.code == "unknown_server":
            raise WrongUsageError(error.message, code=error.code) from error
        raise
    output.redact = operations.redactor.redact
    servers = [server.host for server in answers.servers if not limit or server.host in limit]
    runner = Runner(output, operations, asker, main_thread, servers, Progress(output))
    opened.append(runner)
    try:
        yield runner
    finally:
        runner.deployment.close()
