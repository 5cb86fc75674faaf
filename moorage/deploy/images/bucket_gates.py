"""Let the servers that use a bucket hold writes together, and tell what clients do.

Each gets a small run (moorage/images/gate.py). It has the server's lock, log and result like any
other, and ends by itself when it hears nothing for two minutes.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from moorage.deploy.deployment import Deployment
from moorage.deploy.events import RunEnded
from moorage.deploy.run.run import ServerRun
from moorage.desired.layout import RUNS
from moorage.errors import MoorageError
from moorage.images.hold import LONGEST
from moorage.images.task import Task
from moorage.servers.run_results import RunStatus
from moorage.servers.transport import Exchange

_STARTS = 600.0
"""Seconds for a run to start, which can install Python first."""
_ANSWERS = 60.0
_LONGEST_ANSWER = 64 * 1024**2
_ALIVE = 20.0
"""Seconds between two requests, at most."""
_CONTROL = f"""\
IFS= read -r id
cd {RUNS}/"$id" || exit 1
exec python3 -B -E -s -c 'import sys
sys.path.insert(0, "code")
from moorage.images.gate import connect
sys.exit(connect(sys.argv[1]))' "$PWD"
"""


class GateLostError(Exception):
    """A server no longer takes part."""


@dataclass
class Uses:
    """The requests of clients on all servers: repositories, with a digest or tag of each.

    Attributes:
        asked: What they asked for.
        written: What they wrote; `*` where it is not known.
    """

    asked: set[tuple[str, str]] = field(default_factory=set)
    written: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class HoldOfAll:
    """Writes are held on all servers.

    Attributes:
        deadline: When to have finished, by `time.monotonic`.
        uses: What clients did since the runs began.
        held: The number of writes that waited; known afterwards.
    """

    deadline: float
    uses: Uses = field(default_factory=Uses)
    held: int = 0


class _Gate:
    """One server's run, and the line to it."""

    def __init__(self, deployment: Deployment, run: ServerRun, payload: bytes) -> None:
        self.run = run
        self.is_cancelled = False
        self._deployment = deployment
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._partial = b""
        self._exchange: Exchange | None = None
        self._lock = threading.Lock()
        self.follower = threading.Thread(target=self._follow, args=(payload,), daemon=True)
        self._control = threading.Thread(target=self._talk, daemon=True)
        self.follower.start()

    def open(self) -> None:
        """Wait until the run takes requests.

        Raises:
            GateLostError: It has ended.
        """
        end = time.monotonic() + _STARTS
        while not self.run.has_begun:
            if self.run.ended or time.monotonic() > end:
                raise GateLostError(self.run.server)
            time.sleep(0.02)
        self._control.start()
        self.call({"do": "ping"}, timeout=_STARTS)

    def call(self, request: Mapping[str, Any], timeout: float = _ANSWERS) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises:
            GateLostError: There is none.
        """
        with self._lock:
            return self._call(request, timeout)

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[Callable[..., dict[str, Any]]]:
        """Keep other threads' requests back, between those that belong together."""
        with self._lock:
            yield self._call

    def _call(self, request: Mapping[str, Any], timeout: float = _ANSWERS) -> dict[str, Any]:
        end = time.monotonic() + timeout
        while self._exchange is None:
            if self.run.ended or time.monotonic() > end:
                raise GateLostError(self.run.server)
            time.sleep(0.01)
        try:
            self._exchange.send(json.dumps(request).encode() + b"\n")
            answer = self._answers.get(timeout=max(0.01, end - time.monotonic()))
        except (MoorageError, queue.Empty) as error:
            raise GateLostError(self.run.server) from error
        if answer is None:
            raise GateLostError(self.run.server)
        self.is_cancelled |= bool(answer.get("cancelled"))
        return answer

    def _follow(self, payload: bytes) -> None:
        self.run.start([payload])

    def _talk(self) -> None:
        with contextlib.suppress(MoorageError):
            self._deployment.on_server(
                self.run.server,
                lambda transport: transport.run(
                    _CONTROL, payload=f"{self.run.run_id}\n".encode(),
                    on_stdout=self._feed, on_start=self._started,
                ),
            )  # fmt: skip
        self._answers.put(None)

    def _started(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def _feed(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _LONGEST_ANSWER:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            try:
                answer = json.loads(line)
            except ValueError:
                answer = None
            self._answers.put(answer if isinstance(answer, dict) else None)


class ServerGates:
    """The runs on all servers that use a bucket.

    Args:
        deployment: The deployment.
        servers: The servers, by label, in the order in which their locks are taken.
        task: The task of their runs.
        payload: Returns the input of a run, from its ID and task.
        run_id: The ID of all of them.
    """

    def __init__(
        self,
        deployment: Deployment,
        servers: Sequence[str],
        task: Task,
        payload: Callable[[str, Task], bytes],
        run_id: str,
    ) -> None:
        self._deployment = deployment
        self._servers = servers
        self._task = task
        self._payload = payload
        self._run_id = run_id
        self._gates: list[_Gate] = []
        self._uses = Uses()
        self._has_ended = threading.Event()

    def open(self) -> None:
        """Start the runs, one after the other, and wait until each has the lock of its server.

        Raises:
            GateLostError: One could not start; :meth:`ended` says why.
        """
        runs = [
            self._deployment.new_run(server, self._run_id, self._deployment.on_event)
            for server in self._servers
        ]
        self._deployment.watch_runs(runs)
        payload = self._payload(self._run_id, self._task)
        for run in runs:
            gate = _Gate(self._deployment, run, payload)
            self._gates.append(gate)
            gate.open()
        threading.Thread(target=self._stay_alive, daemon=True).start()

    @property
    def is_cancelled(self) -> bool:
        """Whether the operator has cancelled."""
        return any(gate.is_cancelled for gate in self._gates)

    def step(self, name: str) -> None:
        """Note a step of the work."""
        self._call_all({"do": "step", "name": name})

    def say(self, text: str) -> None:
        """Add a line to the logs."""
        self._call_all({"do": "say", "text": text})

    def warn(self, text: str) -> None:
        """Report a problem that does not stop the run."""
        self._gates[0].call({"do": "warn", "text": text})

    def unlock(self) -> None:
        """Let other runs change the servers."""
        self._call_all({"do": "unlock"})

    def lock(self) -> bool:
        """Let no other run change the servers; returns whether all are locked."""
        for number, gate in enumerate(self._gates):
            if not gate.call({"do": "lock"}).get("locked"):
                for locked in self._gates[:number]:
                    locked.call({"do": "unlock"})
                return False
        return True

    def uses(self) -> Uses:
        """Return what clients did since the runs began."""
        for answer in self._call_all({"do": "requests"}):
            self._add(answer)
        return self._uses

    @contextlib.contextmanager
    def hold(self, condemned: Iterable[tuple[str, str]]) -> Iterator[HoldOfAll]:
        """Hold writes on all servers while the context is entered.

        Args:
            condemned: What clients' questions for are held, too; as for `condemn`.

        Raises:
            TimeoutError: They were not held to the end.
            GateLostError: A server no longer takes part.
        """
        request = {"do": "hold", "condemned": [list(each) for each in condemned]}
        self.uses()  # So that little is left to be told.
        with contextlib.ExitStack() as stack:
            calls = [stack.enter_context(gate.exclusively()) for gate in self._gates]
            hold = HoldOfAll(time.monotonic() + LONGEST, self._uses)
            try:
                for answer in _at_once(calls, request):
                    self._add(answer)
                yield hold
            finally:
                ends = _at_once(calls, {"do": "release"})
            hold.held = sum(int(each.get("held", 0)) for each in ends)
            if not all(each.get("in_time") for each in ends):
                raise TimeoutError

    def finish(
        self, status: str, code: str, values: Sequence[str], numbers: Mapping[str, int]
    ) -> None:
        """End all runs, with the same result."""
        self._has_ended.set()
        request = {
            "do": "finish", "status": status, "code": code, "values": list(values),
            "numbers": dict(numbers),
        }  # fmt: skip
        for gate in self._gates:
            with contextlib.suppress(GateLostError):
                gate.call(request, timeout=10.0)
        for gate in self._gates:
            gate.follower.join(30.0)

    def ended(self) -> RunEnded:
        """Return how the runs have ended: the first one that was not asked to, else the first."""
        found = [gate.run.end for gate in self._gates]
        bad = [each for each in found if each.status is not RunStatus.DONE]
        # A server that could not take part says more than those that were told to stop.
        bad.sort(key=lambda each: each.code == "images_stopped")
        return (bad or found)[0]

    def _add(self, answer: Mapping[str, Any]) -> None:
        try:
            for found, name in ((self._uses.asked, "asked"), (self._uses.written, "written")):
                found.update((str(each[0]), str(each[1])) for each in answer.get(name, ()))
        except (TypeError, LookupError) as error:
            raise GateLostError("an answer is damaged") from error

    def _call_all(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [gate.call(request) for gate in self._gates]

    def _stay_alive(self) -> None:
        with contextlib.suppress(GateLostError):
            while not self._has_ended.wait(_ALIVE):
                self._call_all({"do": "ping"})


def _at_once(
    calls: Sequence[Callable[..., dict[str, Any]]], request: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Send a request to all servers at once."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(request, timeout=10.0), calls))
