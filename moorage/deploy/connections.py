"""The connections to a deployment's servers: used in parallel, closed together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from moorage import crash_log
from moorage.answers.model import Server
from moorage.errors import MoorageError, ServersFailed
from moorage.servers.transport import Transport

_Result = TypeVar("_Result")


def close_aside(close: Callable[[], None]) -> None:
    """Close connections in their own thread: closing one to a dead server takes long.

    Args:
        close: Closes them.
    """

    def run() -> None:
        try:
            close()
        except Exception as error:  # no caller waits for it, so write it to the log file
            crash_log.record(error)

    threading.Thread(target=run, name="close", daemon=True).start()


class Connections:
    """The connections to the servers of the answers; they connect on first use.

    Args:
        servers: The servers of the answers.
        limit: The servers to work on, by label; all when empty.
        open_it: Opens a connection.

    Attributes:
        chosen: The connections to use, in the answers' order.
        others: The connections outside the limit.

    Raises:
        MoorageError: The limit names a server that is not in the answers.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        limit: Sequence[str],
        open_it: Callable[[Server], Transport],
    ) -> None:
        known = [server.host for server in servers]
        for label in limit:
            if label not in known:
                raise MoorageError(
                    f"{label} is not a server in the answers: {', '.join(known)}.",
                    code="unknown_server",
                )
        self._open = open_it
        self._servers = servers
        self._guests: list[Transport] = []
        opened = [open_it(server) for server in servers]
        self.chosen = [each for each in opened if not limit or each.server in limit]
        self.others = [each for each in opened if each not in self.chosen]

    def to(self, label: str) -> Transport:
        """Return the connection to a server, by label."""
        return next(each for each in (*self.chosen, *self.others) if each.server == label)

    def to_guest(self, server: Server) -> Transport:
        """Return a connection to a machine that is not one of the servers."""
        guest = self._open(server)
        self._guests.append(guest)
        return guest

    def release_guest(self, guest: Transport) -> None:
        """Close a connection to a machine that is not one of the servers."""
        guest.close()
        if guest in self._guests:
            self._guests.remove(guest)

    def hand_over(self, label: str) -> Transport | None:
        """Return the connection to a server; the caller closes it from now on."""
        for place, transport in enumerate(self.chosen):
            if transport.server == label:
                return self.chosen.pop(place)
        return None

    def close(self) -> None:
        """Close all connections."""
        for transport in (*self.chosen, *self.others, *self._guests):
            transport.close()

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses at which clients reach the chosen servers, by label."""
        labels = {each.server for each in self.chosen}
        return {label: where for label, where in self.all_addresses.items() if label in labels}

    @property
    def all_addresses(self) -> dict[str, str]:
        """The addresses at which clients reach all servers of the answers, by label."""
        return {
            server.host: server.address or self.to(server.host).public_address
            for server in self._servers
        }


def on_all(
    transports: Sequence[Transport],
    work: Callable[[Transport], _Result],
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[_Result, ...]:
    """Run something on several servers in parallel.

    Args:
        transports: The connections.
        work: Called with each connection.
        meanwhile: Called here in the meantime.

    Returns:
        The results, in the connections' order.

    Raises:
        ServersFailed: It failed on some of them.
    """
    errors: list[MoorageError] = []
    results: list[_Result] = []
    if not transports:
        return ()
    with ThreadPoolExecutor(max_workers=min(32, len(transports))) as pool:
        futures = [pool.submit(work, transport) for transport in transports]
        meanwhile()
        for future in futures:
            with _collecting(errors):
                results.append(future.result())
    if errors:
        raise ServersFailed(errors)
    return tuple(results)


def on_each(
    transports: Sequence[Transport], work: Callable[[Transport], _Result]
) -> dict[str, _Result | MoorageError]:
    """Run something on several servers in parallel; a failure on one does not stop the others.

    Args:
        transports: The connections.
        work: Called with each connection.

    Returns:
        The results or errors, by server label in the connections' order.
    """

    def attempt(transport: Transport) -> _Result | MoorageError:
        try:
            return work(transport)
        except MoorageError as error:
            error.server = error.server or transport.server
            return error

    results = on_all(transports, attempt)
    return {each.server: result for each, result in zip(transports, results, strict=True)}


def begin_on_each(
    transports: Sequence[Transport], work: Callable[[Transport], _Result]
) -> Callable[[], dict[str, _Result | MoorageError]]:
    """Begin :func:`on_each` in the background.

    Args:
        transports: The connections.
        work: Called with each connection.

    Returns:
        A function that waits for the results.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    future = pool.submit(on_each, transports, work)
    pool.shutdown(wait=False)
    return future.result


@contextmanager
def _collecting(errors: list[MoorageError]) -> Iterator[None]:
    try:
        yield
    except MoorageError as error:
        errors.append(error)
