"""A real server whose root wrote a record to lure the operator: every way in, nothing happens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from bait import SITE, Bait, watched
from command_line import PASSWORD, PROGRAM, CommandLine
from operator_at_work import Operator
from wizard_driver import Wizard

from lab import LabServer
from moorage.desired import layout
from tui.app import WizardApp

HOOK = "#!/bin/sh\necho ran >/root/told\n"


@dataclass
class Lure:
    """The server, somebody who works with it, and the bait on their machine."""

    server: LabServer
    call: CommandLine
    bait: Bait

    @property
    def way(self) -> tuple[str, ...]:
        """The options that name the server."""
        return ("--server", f"root@{self.server.address}", "--key", str(self.server.key))

    @property
    def other(self) -> str:
        """A server that only the record names; connections to it are counted."""
        return f"root@127.0.0.1:{self.bait.port}"

    def record(self, *, names_another: bool) -> None:
        """Have the server's root write the record."""
        others = [{"host": "127.0.0.1", "port": self.bait.port, "user": "root"}]
        record: dict[str, Any] = json.loads(self.server.read_file(layout.DEPLOYMENT))
        record["answers"] = self.bait.answers(
            {"host": self.server.address}, *(others if names_another else [])
        )
        path = layout.hook_path("told")
        record["digests"][path] = hashlib.sha256(HOOK.encode()).hexdigest()
        self.server.write_file(path, HOOK, mode=0o700)
        self.server.write_file(layout.DEPLOYMENT, json.dumps(record), mode=0o600)

    @property
    def taken(self) -> str:
        """Every program the calls started, and what bait they touched."""
        log = self.call.home / "log"
        return log.read_text() if log.exists() else ""


@pytest.fixture
def lure(operator: Operator, server: LabServer) -> Iterator[Lure]:
    """A server that a registry was deployed to."""
    operator.leaks.add(PASSWORD, label="the password of ci")
    bait, call = Bait(operator.home), CommandLine(operator, program=SITE + PROGRAM)
    (operator.home / "moorage.yml").unlink()
    call.environment |= {
        "BAIT_LOG": str(operator.home / "log"),
        "BAIT_PORT": str(bait.port),
    }
    yield Lure(server, call, bait)
    bait.close()


@pytest.mark.deployed(by_command=True)
async def test_a_hostile_record_runs_opens_and_connects_to_nothing(lure: Lure) -> None:
    server, call, bait = lure.server, lure.call, lure.bait

    lure.record(names_another=True)
    refused = call("users", "list", *lure.way)
    status = call("status", *lure.way)
    assert refused.code == 2
    assert f"Add --server {lure.other}, or use the answers file." in refused.stderr
    assert f"○ {lure.other}  another server on record; not connected to" in status.stdout
    with watched(bait.port) as seen:
        named = ((f"root@{server.address}",), str(server.key))
        app = WizardApp(servers=named, large_upload=False)
        async with app.run_test(size=(120, 40)) as pilot:
            wizard = Wizard(app, pilot)
            await wizard.see("Other servers", lure.other)
            await wizard.press("enter")  # only the one that was named
            await wizard.see("Dashboard", server.address, f"○ {lure.other}")
            await wizard.press("u")
            await wizard.see("2 users")
            await wizard.press("escape")
            await wizard.see("Dashboard", f"○ {lure.other}")
            await wizard.press("v")
            await wizard.see("Confirm these settings", "Hook 1, Script")
            await wizard.press("enter")
            await wizard.see("· Review")
    assert seen == []

    lure.record(names_another=False)
    added = call("users", "add", *lure.way, "ana", "--yes", "--passwords-to", "ana")
    assert added.code == 0, added.stderr
    assert server.read_file("/root/told").strip() == "ran"  # recorded hooks do run: there
    password = (call.home / "ana").read_text().strip().partition(":")[2]
    call.operator.leaks.add(password, [str(call.home / "ana")], label="the password of ana")
    assert call.operator.status(server, user="ana", password=password) == 200
    assert call.operator.status(server, user="ci", password=PASSWORD) == 200

    assert lure.taken == ""
    assert bait.is_untouched
