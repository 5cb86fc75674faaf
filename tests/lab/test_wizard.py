"""The wizard on real servers, by keystrokes alone, in a real terminal."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from operator_at_work import copy_back, inspect_digest, introduce, log_in, push
from tmux import Terminal

import moorage
from lab import LabServer
from lab.image import build_small_image
from lab.keys import ADMIN_PASSWORD

DOMAIN = "registry.example.test"
SOURCE = str(Path(moorage.__file__).parents[1])

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Desk:
    """Somebody's home, with terminals in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / "state"
        self.terminals: list[Terminal] = []
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        (home / "ssh_config").write_text(
            f"Host *\n  UserKnownHostsFile {home}/known_hosts\n  GlobalKnownHostsFile none\n"
        )

    def wizard(self, *arguments: str, size: tuple[int, int] = (120, 40)) -> Terminal:
        """Open the wizard in a terminal."""
        terminal = Terminal(
            [sys.executable, "-m", "moorage", *arguments],
            {
                "HOME": str(self.home),
                "MOORAGE_STATE": str(self.state),
                "MOORAGE_SSH_CONFIG": str(self.home / "ssh_config"),
                "PYTHONPATH": SOURCE,
                "SSH_AUTH_SOCK": "",
            },
            self.home,
            size,
        )
        self.terminals.append(terminal)
        return terminal


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A home of its own; its terminals end with the test."""
    desk = Desk(tmp_path / "home")
    yield desk
    for terminal in desk.terminals:
        terminal.close()


def fill_in(terminal: Terminal, server: LabServer, user: str) -> None:
    """Answer what has no default: name, server, who logs in, key."""
    terminal.see("New deployment")
    terminal.press("Enter")
    terminal.see("Where should the registry run?")
    terminal.type(DOMAIN)
    terminal.press("Enter")
    terminal.see("Key file")
    terminal.type(server.address)
    terminal.press("Tab")
    terminal.type(user)
    terminal.press("Tab", "Tab")
    terminal.type(str(server.key))
    terminal.press("Enter")
    terminal.see("not tested")


def to_review(terminal: Terminal) -> None:
    """Take every default up to Review."""
    for number, step in enumerate(("Credentials", "Storage", "DNS", "SSL", "Advanced"), start=2):
        terminal.press("Enter")
        terminal.see(f"{step}  {number} of 7")
    terminal.press("Enter")
    terminal.see("Review  7 of 7")


def trust(terminal: Terminal, server: LabServer) -> None:
    """Trust the server's key, after comparing it."""
    terminal.see("Unknown server")
    shown = re.search(r"SHA256:\S+", terminal.screen)
    assert shown is not None
    kinds = [server.host_key_fingerprint(kind) for kind in ("ed25519", "ecdsa")]
    assert shown.group() in kinds
    terminal.press("t")


def curl(server: LabServer, authority: Path, login: str) -> str:
    """Ask the registry as a client does; returns the status."""
    return subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(authority),
         "--resolve", f"{DOMAIN}:443:{server.address}", "-u", login, f"https://{DOMAIN}/v2/"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_from_nothing_to_done_by_keystrokes_alone(
    desk: Desk,
    server: LabServer,
    client: LabServer,
    size: tuple[int, int],
    tmp_path: Path,
) -> None:
    terminal = desk.wizard(size=size)
    fill_in(terminal, server, "root")
    to_review(terminal)
    trust(terminal, server)
    terminal.see("1 server: 3 packages, 12 files new")
    terminal.press("Enter")
    terminal.see("On " + server.address)
    terminal.press("Enter")
    terminal.see(f"{DOMAIN} is up.", seconds=180)

    shown = re.search(r"Password of (\S+) +Copy\n +([A-Za-z0-9_-]{22})\b", terminal.screen)
    assert shown is not None, terminal.screen
    user, password = shown.groups()
    (authority,) = desk.state.glob("ca/*/ca.pem")
    assert curl(server, authority, f"{user}:{password}") == "200"
    assert curl(server, authority, f"{user}:wrong") == "401"
    introduce(client, server, authority, DOMAIN)
    log_in(client, user, password, DOMAIN)
    image = build_small_image(tmp_path / "small.tar", f"wizard-{size[0]}:1")
    digest = push(client, image, "team/app:1")
    assert inspect_digest(client, f"{DOMAIN}/team/app:1") == digest
    copy_back(client, f"{DOMAIN}/team/app@{digest}")

    terminal.press("C-s")
    terminal.see("Save the answers")
    terminal.press("Enter")
    terminal.see("Saved in moorage.yml")
    answers = desk.home / "moorage.yml"
    assert password not in answers.read_text()
    for kept in desk.state.rglob("*"):
        assert not kept.is_file() or password.encode() not in kept.read_bytes(), kept

    again = desk.wizard("moorage.yml", size=size)
    again.see("1 server: nothing to change")


def test_sudo_password_is_asked_and_kept_nowhere(desk: Desk, server: LabServer) -> None:
    terminal = desk.wizard()
    fill_in(terminal, server, "admin")
    to_review(terminal)
    trust(terminal, server)
    terminal.see("Sudo password of admin")
    terminal.type("wrong-one")
    terminal.press("Enter")
    terminal.see("sudo does not accept the password")
    terminal.press("C-r")
    terminal.see("Sudo password of admin")
    terminal.type(ADMIN_PASSWORD)
    terminal.press("Enter")
    terminal.see("1 server: 3 packages")
    assert ADMIN_PASSWORD not in terminal.screen
    for kept in desk.home.rglob("*"):
        assert not kept.is_file() or ADMIN_PASSWORD.encode() not in kept.read_bytes(), kept


def test_a_run_outlives_its_terminal_and_is_found_again(desk: Desk, server: LabServer) -> None:
    terminal = desk.wizard()
    fill_in(terminal, server, "root")
    terminal.press("C-s")
    terminal.see("Save the answers")
    terminal.press("Enter")
    terminal.see("Saved in moorage.yml")
    to_review(terminal)
    trust(terminal, server)
    terminal.see("1 server: 3 packages")
    terminal.press("Enter")
    terminal.see("On " + server.address)
    terminal.press("Enter")
    terminal.see("Installing packages", seconds=60)
    terminal.close()

    again = desk.wizard("moorage.yml")
    found = again.see("a run is going on", "nothing to change", seconds=60)
    again.press("Enter")
    if found == "nothing to change":
        again.see("There is nothing to change")
        again.press("Enter")
    again.see(f"{DOMAIN} is up.", seconds=180)


def test_alt_and_a_number_jumps_to_a_step_out_of_a_field(desk: Desk) -> None:
    terminal = desk.wizard(size=(80, 24))
    terminal.see("New deployment")
    terminal.press("Enter")
    terminal.see("Where should the registry run?")
    terminal.type(DOMAIN)
    terminal.press("M-3")
    terminal.see("Storage  3 of 7")
    terminal.press("M-1")
    terminal.see("Where should the registry run?")
    assert f"Registry name   {DOMAIN}\n" in terminal.screen
