"""The wizard on real servers, by keystrokes alone, in a real terminal."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from operator_at_work import Operator, copy_back, inspect_digest, log_in, push, trust_registry
from thorough import THOROUGH
from tmux import Terminal
from workstation import Workstation

from lab import LabServer
from lab.image import build_small_image
from lab.keys import ADMIN_PASSWORD

DOMAIN = "registry.example.test"

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    """A home of its own; its terminals end with the test."""
    workstation = Workstation(tmp_path / "workstation")
    yield workstation
    for terminal in workstation.terminals:
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
    terminal.press("C-s")
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
         "--resolve", f"{DOMAIN}:443:{server.address}", "--config", "-", f"https://{DOMAIN}/v2/"],
        input=f'user = "{login}"', check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


@pytest.mark.ready
@pytest.mark.parametrize(
    "size", [(80, 24), pytest.param((120, 40), marks=THOROUGH)], ids=["80x24", "120x40"]
)
def test_from_nothing_to_done_by_keystrokes_alone(
    workstation: Workstation,
    server: LabServer,
    client: LabServer,
    size: tuple[int, int],
    tmp_path: Path,
) -> None:
    terminal = workstation.wizard(size=size)
    fill_in(terminal, server, "root")
    to_review(terminal)
    trust(terminal, server)
    terminal.see("1 server: 27 files new")
    terminal.press("Enter")
    terminal.see("On " + server.address)
    terminal.press("Enter")
    terminal.see(f"{DOMAIN} is up.", seconds=180)

    shown = re.search(r"Password of (\S+) +Copy\n +([A-Za-z0-9_-]{22})\b", terminal.screen)
    assert shown is not None, terminal.screen
    user, password = shown.groups()
    (authority,) = workstation.state.glob("ca/*/ca.pem")
    assert curl(server, authority, f"{user}:{password}") == "200"
    assert curl(server, authority, f"{user}:wrong") == "401"
    trust_registry(client, server, authority, DOMAIN)
    log_in(client, user, password, DOMAIN)
    image = build_small_image(tmp_path / "small.tar", f"wizard-{size[0]}:1")
    digest = push(client, image, "team/app:1")
    assert inspect_digest(client, f"{DOMAIN}/team/app:1") == digest
    copy_back(client, f"{DOMAIN}/team/app@{digest}")

    terminal.press("C-s")
    terminal.see("Save the answers")
    terminal.press("Enter")
    terminal.see("Saved in moorage.yml")
    answers = workstation.home / "moorage.yml"
    assert password not in answers.read_text()
    for kept in workstation.state.rglob("*"):
        assert not kept.is_file() or password.encode() not in kept.read_bytes(), kept

    again = workstation.wizard("moorage.yml", size=size)
    again.see("healthy, certificate")
    again.press("v")
    again.see("1 server: nothing to change")
    again.press("Escape")
    again.see("Dashboard")
    again.press("2")
    again.see("1 repository, 1 tag in ")
    again.press("4")
    again.see("↑ push")
    again.press("5")
    again.see("✓ done")
    again.press("Enter")
    again.see("Letting open transfers finish")
    again.press("Escape")
    again.see("5 Runs")
    again.press("1")
    server.run(["sh", "-c", "echo '# mine' >> /etc/nginx/conf.d/moorage.conf"])
    again.press("C-r")
    again.see("drifted, 1 file")
    again.press("l")
    again.see("200 GET    admin    ")
    again.press("Escape")
    again.see("drifted, 1 file")
    again.press("Escape")
    again.see("Connect to a server")


@pytest.mark.deployed
def test_a_deployment_can_be_opened_from_its_server(
    workstation: Workstation, server: LabServer, operator: Operator
) -> None:
    (workstation.home / "known_hosts").write_text(server.known_hosts_line() + "\n")
    terminal = workstation.wizard(size=(80, 24))
    terminal.see("New deployment")
    terminal.press("c")
    terminal.see("Moorage reads what is deployed there")
    terminal.type(f"root@{server.address}")
    terminal.press("Tab")
    terminal.type(str(server.key))
    terminal.press("Enter")
    terminal.see("healthy")
    terminal.press("s")
    terminal.see("Where should the registry run?")
    assert DOMAIN in terminal.screen
    terminal.press("M-7")
    terminal.see("1 server: nothing to change")


def test_the_sudo_password_is_prompted_for_and_never_stored(
    workstation: Workstation, server: LabServer
) -> None:
    terminal = workstation.wizard()
    fill_in(terminal, server, "admin")
    to_review(terminal)
    trust(terminal, server)
    terminal.see("Sudo password of admin")
    terminal.type("wrong-one")
    terminal.press("Enter")
    terminal.see("Wrong password, try again")
    terminal.type(ADMIN_PASSWORD)
    terminal.press("Enter")
    terminal.see("1 server: 3 packages")
    assert ADMIN_PASSWORD not in terminal.screen
    for kept in workstation.home.rglob("*"):
        assert not kept.is_file() or ADMIN_PASSWORD.encode() not in kept.read_bytes(), kept


def test_a_run_outlives_its_terminal_and_is_found_again(
    workstation: Workstation, server: LabServer
) -> None:
    terminal = workstation.wizard()
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
    terminal.see("● Installing packages", seconds=60)
    terminal.close()

    again = workstation.wizard("moorage.yml")
    found = again.see("a run is in progress", "nothing to change", seconds=60)
    again.press("Enter")
    if found == "nothing to change":
        again.see("Nothing to change on")
        again.press("Enter")
    again.see(f"{DOMAIN} is up.", seconds=180)


def test_the_wizard_responds_when_a_server_stops_answering(
    workstation: Workstation, server: LabServer
) -> None:
    terminal = workstation.wizard(size=(80, 24))
    fill_in(terminal, server, "root")
    server.cut()
    terminal.press("C-t")
    terminal.see("Connecting")
    terminal.press("Enter")  # going on gives the test up
    terminal.see("Who can log in?")
    terminal.press("M-7")
    terminal.see("Reading the servers")
    terminal.press("Escape")
    terminal.see("Any special requirements?")
    server.reconnect()
    terminal.press("M-7")
    trust(terminal, server)
    terminal.see("1 server: 3 packages", seconds=60)
    terminal.press("Enter")
    terminal.see("On " + server.address)
    terminal.press("Enter")
    terminal.see("● Installing packages", seconds=60)
    server.cut()
    terminal.see("silent for", seconds=60)
    terminal.press("Escape")
    terminal.see("Stop and roll back")
    terminal.press("Tab", "Enter")
    terminal.see("Review  7 of 7")
    server.reconnect()
    terminal.press("C-r")
    found = terminal.see("a run is in progress", "nothing to change", seconds=90)
    assert found


@pytest.mark.ready
def test_a_failed_server_is_retried_from_apply(workstation: Workstation, server: LabServer) -> None:
    terminal = workstation.wizard(size=(120, 40))
    fill_in(terminal, server, "root")
    to_review(terminal)
    trust(terminal, server)
    terminal.see("1 server: 27 files new")
    broken = "/etc/nginx/conf.d/someone-elses.conf"
    server.run(["sh", "-c", f"mkdir -p /etc/nginx/conf.d && echo 'no such thing' > {broken}"])
    terminal.press("Enter")
    terminal.see("On " + server.address)
    terminal.press("Enter")
    terminal.see("Apply failed", seconds=120)
    server.run(["rm", broken])
    terminal.press("r")
    terminal.see("Retrying")
    terminal.see(f"{DOMAIN} is up.", seconds=180)
    shown = re.search(r"Password of (\S+) +Copy\n +([A-Za-z0-9_-]{22})\b", terminal.screen)
    assert shown is not None, terminal.screen
    (authority,) = workstation.state.glob("ca/*/ca.pem")
    assert curl(server, authority, f"{shown[1]}:{shown[2]}") == "200"


def test_a_terminal_with_16_colours_gets_only_those(workstation: Workstation) -> None:
    terminal = workstation.wizard(size=(80, 24), TERM="xterm", COLORTERM="")
    terminal.see("New deployment")
    terminal.press("Enter")
    terminal.see("Where should the registry run?")
    assert "\x1b[" in terminal.painted
    assert not re.search(r"[34]8[;:](2|5)[;:]", terminal.painted)


def test_no_color_uses_only_greys(workstation: Workstation) -> None:
    terminal = workstation.wizard(size=(80, 24), NO_COLOR="1")
    terminal.see("New deployment")
    terminal.press("Enter")
    terminal.see("Where should the registry run?")
    for red, green, blue in re.findall(r"[34]8[;:]2[;:]+(\d+)[;:](\d+)[;:](\d+)", terminal.painted):
        assert red == green == blue


def test_alt_and_a_number_in_a_field_jumps_to_a_step(workstation: Workstation) -> None:
    terminal = workstation.wizard(size=(80, 24))
    terminal.see("New deployment")
    terminal.press("Enter")
    terminal.see("Where should the registry run?")
    terminal.type(DOMAIN)
    terminal.press("M-3")
    terminal.see("Storage  3 of 7")
    terminal.press("M-1")
    terminal.see("Where should the registry run?")
    assert f"Registry name   ▌{DOMAIN}\n" in terminal.screen
