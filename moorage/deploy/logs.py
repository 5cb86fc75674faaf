"""Follow the logs of a deployment: the registry's journal and nginx's logs, on every server."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from moorage.deploy.deployment import Deployment
from moorage.errors import MoorageError
from templates.load import shell_script

if TYPE_CHECKING:
    from moorage.answers.model import Answers, Server
    from moorage.deploy.operations import OpenTransport, OperatorAsker

_JOURNAL = re.compile(r"^(\d+-\d+-\d+)T([\d:]+)\S* (\S+)\[\d+\]: (time=\"[^\"]*\" )?")
_ALWAYS_THE_SAME = re.compile(r" (?:go\.version|instance\.id|service|version)=\S+")


def without_repetition(line: str) -> str:
    """Return a journal line with a single timestamp, and its program unless it is the registry."""
    found = _JOURNAL.match(line)
    if found is None:
        return line
    day, clock, program, own_time = found.groups()
    words = line[found.end() :]
    words = _ALWAYS_THE_SAME.sub("", words) if own_time else f"{program}: {words}"
    return f"{day} {clock} {words}"


class LogTail:
    """The logs of all servers, as lines arrive.

    Args:
        answers: The deployment.
        asker: Asks for host keys and secrets.
        on_lines: Called with a server's label and its new lines, from several threads.
        on_failure: Called with a server's label and why its logs cannot be followed, likewise.
        open_transport: Opens a connection; over SSH by default.
    """

    def __init__(
        self,
        answers: Answers,
        asker: OperatorAsker,
        on_lines: Callable[[str, Sequence[str]], object],
        on_failure: Callable[[str, MoorageError], object],
        open_transport: OpenTransport | None = None,
    ) -> None:
        self._deployment = Deployment(answers, asker, open_transport=open_transport)
        self._asker = asker
        self._on_lines = on_lines
        self._on_failure = on_failure

    def start(self) -> None:
        """Start following, with a thread for each server."""
        for server in self._deployment.answers.servers:
            threading.Thread(target=self._follow, args=(server,), daemon=True).start()

    def stop(self) -> None:
        """Stop following; the script on the server ends with its connection."""
        self._deployment.cancel.set()

    def _follow(self, server: Server) -> None:
        cancel = self._deployment.cancel
        rest = b""

        def take(data: bytes) -> None:
            nonlocal rest
            *lines, rest = (rest + data).split(b"\n")
            texts = [without_repetition(line.decode("utf-8", "replace")) for line in lines]
            self._on_lines(server.host, texts)

        transport = self._deployment.connection_to(server)
        try:
            transport.connect()
            # Its standard input stays open, and ends with the connection.
            transport.run(shell_script("logs.sh"), on_stdout=take,
                          on_start=lambda exchange: None, cancel=cancel)  # fmt: skip
        except MoorageError as error:
            self._asker.forget_refused(error)
            if not cancel.is_set:
                self._on_failure(server.host, error)
        finally:
            transport.close()
