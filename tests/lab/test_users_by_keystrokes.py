"""The users screen on two real servers, by keystrokes alone, in a real terminal."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from operator_at_work import DOMAIN, Operator, log_in, push, trust_registry
from test_several_servers import s3_storage
from tmux import Terminal
from workstation import Workstation

from lab import LabServer
from lab.image import build_small_image
from lab.services import ObjectStore
from moorage.answers.save import save
from tui.document import store
from tui.document.draft import Draft

TYPED = "gravel-lantern-19-otter"

pytestmark = [
    pytest.mark.ready,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


@dataclass
class Office:
    """Two servers on one bucket, and somebody with their answers file and a terminal."""

    operator: Operator
    machines: Sequence[LabServer]
    workstation: Workstation
    file: Path

    def statuses(self, user: str, password: str) -> list[int]:
        """Return what each server answers a user."""
        return [self.operator.status(each, user=user, password=password) for each in self.machines]

    def open_users(self, size: tuple[int, int] = (120, 40)) -> Terminal:
        """Open the users from the start."""
        terminal = self.workstation.wizard(size=size)
        terminal.see(DOMAIN)
        terminal.press("u")
        terminal.see("1 user ")
        return terminal

    @property
    def listed(self) -> list[str]:
        """The users that the answers file lists."""
        return [
            user["name"] for user in yaml.safe_load(self.file.read_text())["credentials"]["users"]
        ]

    def made_password(self, terminal: Terminal, user: str) -> str:
        """Return the password that the screen shows, and watch for it."""
        terminal.see("New password", seconds=60)
        shown = re.search(rf"Password of {user}.*\n\W*([A-Za-z0-9_-]{{22}})\b", terminal.screen)
        assert shown is not None, terminal.screen
        self.operator.leaks.add(shown[1], label=f"the password of {user}")
        return shown[1]


@pytest.fixture
def office(
    operator: Operator, servers: Any, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    """A deployment on two servers that the wizard knows."""
    operator.leaks.add(TYPED, label="the typed password")
    machines = servers(2)
    answers = operator.answers(machines, storage=s3_storage(s3, monkeypatch))
    operator.install(answers)
    workstation = Workstation(operator.home)
    known = "".join(machine.known_hosts_line() + "\n" for machine in machines)
    (operator.home / "known_hosts").write_text(known)
    file = operator.home / "moorage.yml"
    save(answers, file)
    draft = Draft.from_answers(answers)
    store.keep_applied(draft)
    store.remember(file, draft.domain, state="applied")
    yield Office(operator, machines, workstation, file)
    for terminal in workstation.terminals:
        terminal.close()


def apply(terminal: Terminal, servers: int) -> None:
    """Show what is staged and apply it."""
    terminal.press("Enter")
    terminal.see(f"Apply to {servers} server")
    terminal.press("Enter")


def see_nothing_staged(terminal: Terminal, seconds: float = 60) -> None:
    """Wait until everything that was staged is applied."""
    end = time.monotonic() + seconds
    while "staged" in terminal.screen:
        assert time.monotonic() < end, terminal.screen
        time.sleep(0.05)


def close_password(terminal: Terminal) -> None:
    """Copy the password that is shown and close it."""
    terminal.press("c")
    terminal.see("Copied")
    terminal.press("Escape")
    terminal.see("e Access")  # the table's keys are in the footer again


def test_users_are_changed_on_two_servers_at_once(
    office: Office, client: LabServer, tmp_path: Path
) -> None:
    _life_of_a_user(office, client, tmp_path)
    _unreachable_server_is_updated_by_the_next_change(office)


def _life_of_a_user(office: Office, client: LabServer, tmp_path: Path) -> None:
    terminal = office.open_users()
    terminal.press("a")
    terminal.see("The user name for docker login")
    terminal.type("ana")
    terminal.press("Enter", "Enter")
    terminal.type("team-a/*")
    terminal.press("Enter", "Enter")
    terminal.see("1 staged")
    assert office.statuses("ana", "anything") == [401] * 2  # nothing is on a server yet
    apply(terminal, 2)
    first = office.made_password(terminal, "ana")

    assert office.statuses("ana", first) == [200] * 2
    (authority,) = (office.operator.home / "state" / "ca").glob("*/ca.pem")
    image = build_small_image(tmp_path / "small.tar", "users-screen:1")
    for number, machine in enumerate(office.machines):
        trust_registry(client, machine, authority)
        log_in(client, "ana", first)
        assert push(client, image, f"team-a/app:{number}")
    assert office.listed == ["ci", "ana"]

    close_password(terminal)
    terminal.press("C-r")
    terminal.see("just now", " min ago")  # her pushes are in the logs
    terminal.press("/")
    terminal.type("ana")
    terminal.press("Enter", "p")
    terminal.see("the old password stops working")
    terminal.type(TYPED)
    terminal.see("strong")
    terminal.press("Enter")
    terminal.see("1 staged")
    apply(terminal, 2)
    see_nothing_staged(terminal)
    assert office.statuses("ana", first) == [401] * 2
    assert office.statuses("ana", TYPED) == [200] * 2
    assert TYPED not in terminal.screen

    terminal.press("d")
    terminal.see("- removed")
    assert office.statuses("ana", TYPED) == [200] * 2  # remembered, and in force
    apply(terminal, 2)
    see_nothing_staged(terminal)
    assert office.statuses("ana", TYPED) == [401] * 2
    terminal.see("Updated moorage.yml")
    assert office.listed == ["ci"]
    assert not office.operator.plan(
        Draft(yaml.safe_load(office.file.read_text())).answers()
    ).has_changes
    terminal.close()


def _unreachable_server_is_updated_by_the_next_change(office: Office) -> None:
    away = office.machines[1]
    terminal = office.open_users(size=(80, 24))
    away.cut()
    terminal.press("C-r")
    terminal.see("connecting")
    terminal.see("unreachable", seconds=90)
    terminal.press("a")
    terminal.see("The user name for docker login")
    terminal.type("bob")
    terminal.press("C-s")
    terminal.see("1 staged")
    terminal.press("Enter")
    terminal.see(f"{away.address} cannot be reached")
    terminal.press("Enter")  # the careful button: nothing happens
    terminal.see("1 staged")
    terminal.press("Enter")
    terminal.see(f"{away.address} cannot be reached")
    terminal.press("Tab", "Enter")
    terminal.see("Apply to 1 server")
    terminal.press("Enter")
    password = office.made_password(terminal, "bob")
    close_password(terminal)
    away.reconnect()
    away.wait_until_up()
    assert office.statuses("bob", password) == [200, 401]

    terminal.press("C-r")
    terminal.see("outdated", seconds=90)
    apply(terminal, 1)
    terminal.see("Changed on 1 server", seconds=60)
    assert office.statuses("bob", password) == [200] * 2
    terminal.see(f"✓ {away.address}  ")
    assert "outdated" not in terminal.screen
