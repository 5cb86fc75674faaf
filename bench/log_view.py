"""The wizard's log view under load: latency of keys at 20,000 lines a second from two servers.

Prints the time from a key to its effect (Pilot), and the memory after each 100,000 lines.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.widgets.log_view import LogView

LINES_A_SECOND = 20_000
SERVERS = ("alpha", "beta")
ROUNDS = 4
"""The number of times that 100,000 lines are sent."""


@dataclass(frozen=True)
class Measurement:
    """The results.

    Attributes:
        keys: Seconds from each key to its effect, sorted.
        memory: MiB of resident memory after each 100,000 lines.
        lines_a_second: The actual rate of lines.
    """

    keys: list[float]
    memory: list[float]
    lines_a_second: float

    @property
    def worst_percent(self) -> float:
        """The 99th percentile of the keys in seconds."""
        return self.keys[min(len(self.keys) - 1, int(len(self.keys) * 0.99))]


def _memory() -> float:
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2


async def measure(rounds: int = ROUNDS) -> Measurement:
    """Press keys on the apply screen while servers produce many log lines."""
    from moorage.deploy.events import LogLine, StepBegan
    from moorage.deploy.operations import Operations
    from screens.apply.screen import ApplyScreen
    from tui.app import WizardApp
    from tui.document.draft import Draft
    from tui.events import EventQueue
    from tui.widgets.log_view import LogView
    from tui.widgets.server_row import ServerProgress
    from tui.wizard_session import WizardSession

    app = WizardApp()
    async with app.run_test(size=(120, 40)) as pilot:
        events = EventQueue()
        engine = Operations(app.opening.asker, events.put)
        over = threading.Event()
        engine.apply = lambda **_: over.wait()  # type: ignore[method-assign,assignment]
        session = WizardSession(Draft.new(), engine, events, app_file())
        app.session = session
        screen = ApplyScreen(session)
        screen._servers = {name: ServerProgress(name) for name in SERVERS}
        screen._selected = ""
        await app.push_screen(screen)
        await pilot.pause()
        log = screen.query_one(LogView)
        sent = [0]

        def talk(name: str, count: int) -> None:
            events.put(StepBegan(name, "packages"))
            began, pace = time.monotonic(), LINES_A_SECOND / len(SERVERS)
            for number in range(count):
                text = f"Get:{number} http://deb.debian.org/debian bookworm/main amd64 lib{number}"
                events.put(LogLine(name, text))
                sent[0] += 1
                ahead = number / pace - (time.monotonic() - began)
                if ahead > 0.01:
                    time.sleep(ahead)

        keys: list[float] = []
        memory: list[float] = []
        spent = 0.0
        for _ in range(rounds):
            threads = [
                threading.Thread(target=talk, args=(name, 100_000 // len(SERVERS)), daemon=True)
                for name in SERVERS
            ]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                keys.append(await _press(log))
                await asyncio.sleep(0.03)
            spent += time.monotonic() - began
            memory.append(_memory())
        over.set()
        app.exit()
    return Measurement(sorted(keys), memory, sent[0] / spent)


async def _press(log: LogView) -> float:
    """Press the key that toggles following; return the seconds until it takes effect."""
    from textual import events

    before = log.follows
    began = time.perf_counter()
    log.app.post_message(events.Key("f", "f"))
    while log.follows is before:
        await asyncio.sleep(0)
    took = time.perf_counter() - began
    if not log.follows:
        log.action_follow()
    return took


def app_file() -> Path:
    """Return the path of the benchmark's draft."""
    return Path(os.environ["MOORAGE_STATE"]) / "draft.yml"


def main() -> None:
    """Measure and print the results."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOORAGE_STATE"] = folder
        found = asyncio.run(measure())
    milliseconds = [1000 * each for each in found.keys]
    print(
        f"log of two servers, {found.lines_a_second:,.0f} lines/s, {len(found.keys)} keys: "
        f"median {statistics.median(milliseconds):.1f} ms, "
        f"99 % within {1000 * found.worst_percent:.1f} ms, slowest {milliseconds[-1]:.1f} ms"
    )
    print(
        "memory after each 100,000 lines: " + ", ".join(f"{each:.0f} MiB" for each in found.memory)
    )


if __name__ == "__main__":
    main()
