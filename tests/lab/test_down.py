"""What does not run, or would not start again: status, plans and users changes name the cause."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from explained import explained
from operator_at_work import Operator
from waiting import wait_until

from lab import LabServer
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.plan.web_server import BY_HAND
from moorage.deploy.status.status import ServerStatus, status_of
from moorage.deploy.users.change import change_users, plan_change, read_users
from moorage.desired.users import RegistryUser
from moorage.errors import ServersFailed
from moorage.users import edits
from moorage.users.passwords import hash_password

pytestmark = pytest.mark.ready

DROP_IN = "/etc/systemd/system/nginx.service.d/zz-theirs.conf"
NEIGHBOUR = "/etc/nginx/conf.d/neighbour.conf"
SQUATTER = "import socket, time; s = socket.create_server(('', 443)); time.sleep(600)"
PASSWORD = "a password of ana"
REFUSED = "nginx rejects its current configuration: "


class Harbour:
    """A registry, and what is said of it."""

    def __init__(self, operator: Operator, server: LabServer) -> None:
        self.operator = operator
        self.server = server
        self.answers: Answers = operator.answers([server])

    def status(self) -> ServerStatus:
        """Return how the server is."""
        with self.operator.open(self.answers) as deployment:
            return status_of(deployment.probe()[0])

    def fault(self) -> str:
        """Return the one thing that is wrong."""
        [fault] = explained(self.status())
        return fault

    def refusals(self) -> tuple[list[str], list[str]]:
        """Return why an apply would be refused, and why a change of the users would."""
        with self.operator.open(self.answers) as deployment:
            applies = [each.explain() for each in deployment.plan().problems]
            read = read_users(deployment)
            with pytest.raises(ServersFailed) as refused:
                plan_change(read, edits.add(read.users, replace(read.users[0], name="ana")))
            return applies, [each.explain() for each in refused.value.errors]

    def agreed_refusal(self) -> str:
        """Return why both would be refused, in the same words."""
        applies, changes = self.refusals()
        assert applies == changes
        [said] = applies
        return said


@pytest.fixture(scope="module")
def _deployed(shared_server: LabServer) -> list[str]:
    return []


@pytest.fixture
def harbour(
    operator: Operator, shared_server: LabServer, _deployed: list[str]
) -> Iterator[Harbour]:
    """A registry that works."""
    harbour = Harbour(operator, shared_server)
    if not _deployed:
        operator.install(harbour.answers)
        _deployed.append("it is")
    assert harbour.status().is_healthy
    yield harbour
    shared_server.run(
        f"rm -f {NEIGHBOUR} {DROP_IN}; systemctl daemon-reload;"
        " systemctl stop squatter 2>/dev/null; systemctl unmask -q nginx;"
        " systemctl reset-failed nginx; systemctl start nginx"
    )


def test_a_broken_site_of_another_owner(harbour: Harbour) -> None:
    harbour.server.write_file(NEIGHBOUR, "server { nonsense; }\n")
    told = f'{REFUSED}unknown directive "nonsense" in {NEIGHBOUR}:1.'
    what_to_do = "Fix that first, and check it on the server with nginx -t."

    assert harbour.fault() == f"N{told[1:]} {what_to_do}"
    assert harbour.agreed_refusal() == f"{told} {what_to_do}"

    harbour.server.run("systemctl stop nginx")
    assert harbour.fault() == f"nginx is not running: {told} {what_to_do}"


def test_only_an_apply_repairs_a_broken_file_of_moorage(harbour: Harbour) -> None:
    harbour.server.run("echo nonsense >>/etc/nginx/conf.d/moorage.conf")
    assert "moorage apply FILE" in " ".join(explained(harbour.status()))
    applies, changes = harbour.refusals()
    assert applies == []
    assert REFUSED in changes[0]
    harbour.operator.install(harbour.answers)
    assert harbour.status().is_healthy


def test_a_port_in_use_by_another_program(harbour: Harbour) -> None:
    harbour.server.run("systemctl stop nginx")
    assert harbour.fault() == "nginx is not running. Start it: systemctl start nginx."
    harbour.server.run(["systemd-run", "--unit=squatter", "python3", "-c", SQUATTER])
    harbour.server.run("until ss -Hltn | grep -q :443; do sleep 0.1; done")
    told = (
        "port 443 is taken by python3, so nginx cannot start. "
        "Stop python3, or choose another port. See registry.port."
    )

    assert harbour.fault() == f"nginx is not running: {told}"
    assert harbour.agreed_refusal() == told


def test_an_nginx_started_by_hand_receives_changes(harbour: Harbour) -> None:
    server, operator = harbour.server, harbour.operator
    server.run("nginx -s stop; until ! pgrep -x nginx; do sleep 0.1; done; nginx")
    assert harbour.fault() == BY_HAND

    # Somebody comes, and goes again.
    with operator.open(harbour.answers) as deployment:
        read = read_users(deployment)
        ana = RegistryUser("ana", hash_password(Secret(PASSWORD), read.scheme))
        plan = plan_change(read, edits.add(read.users, ana))
        assert change_users(deployment, plan).is_good
    assert operator.status(server, user="ana", password=PASSWORD) == 200
    with operator.open(harbour.answers) as deployment:
        read = read_users(deployment)
        plan = plan_change(read, edits.remove(read.users, names=("ana",)))
        assert change_users(deployment, plan).is_good
    assert operator.status(server, user="ana", password=PASSWORD) == 401
    assert not operator.plan(harbour.answers).has_changes
    notes = operator.plan(harbour.answers).servers[0].notes
    assert [note.text for note in notes].count(BY_HAND) == 1
    server.run("nginx -s quit; until ! pgrep -x nginx; do sleep 0.1; done; systemctl start nginx")
    assert harbour.status().is_healthy


def test_a_masked_unit(harbour: Harbour) -> None:
    harbour.server.run("systemctl mask --now -q nginx")
    told = (
        "nginx.service is masked, so it cannot be started. "
        "Unless that is intended: systemctl unmask nginx.service."
    )

    assert harbour.fault() == f"nginx is not running: {told}"
    assert harbour.agreed_refusal() == told


def test_registry_errors_that_show_only_at_start(harbour: Harbour) -> None:
    command = "echo no licence for this host >&2; exit 1"
    first = f"[Service]\nExecStartPre=/bin/sh -c '{command}'\n"
    harbour.server.write_file(DROP_IN, first)
    # A busy journald reads a line only after its process is gone.
    harbour.server.run(
        "systemctl daemon-reload; systemctl kill -s STOP systemd-journald;"
        " timeout 20 systemctl restart nginx; systemctl kill -s CONT systemd-journald",
        check=False,
    )
    # systemd tries again some times, and what a program says is in the journal a little later.
    is_active = "systemctl is-active nginx"
    wait_until(lambda: harbour.server.run(is_active, check=False).stdout == "failed\n")
    wait_until(lambda: "licence" in harbour.fault())

    assert harbour.fault() == (
        "nginx is not running: no licence for this host. "
        "Fix that, then start it: systemctl start nginx."
    )


def test_a_registry_that_does_not_start(harbour: Harbour) -> None:
    slot = harbour.status().slot
    config = f"/etc/moorage/registry/{slot}/config.yml"
    harbour.server.run(
        f"cp -p {config} /root/config.yml && echo 'version: 0.1' >{config}"
        f" && systemctl restart moorage-registry@{slot}",
        check=False,
    )
    deadline = time.monotonic() + 30
    while not any("The registry is not running" in each for each in explained(harbour.status())):
        assert time.monotonic() < deadline, explained(harbour.status())
    said = next(each for each in explained(harbour.status()) if "not running" in each)
    harbour.server.run(
        f"cp -p /root/config.yml {config} && systemctl restart moorage-registry@{slot}"
    )
    assert "no storage configuration" in said, said


def test_users_can_be_revoked_while_the_registry_is_down(harbour: Harbour) -> None:
    server, operator = harbour.server, harbour.operator
    unit = f"moorage-registry@{harbour.status().slot}"
    with operator.open(harbour.answers) as deployment:
        read = read_users(deployment)
        ana = RegistryUser("ana", hash_password(Secret(PASSWORD), read.scheme))
        assert change_users(deployment, plan_change(read, edits.add(read.users, ana))).is_good
    server.run(f"systemctl stop {unit}")
    assert operator.status(server, user="ana", password=PASSWORD) == 503
    with operator.open(harbour.answers) as deployment:
        read = read_users(deployment)
        plan = plan_change(read, edits.remove(read.users, names=("ana",)))
        report = change_users(deployment, plan)
    server.run(f"systemctl start {unit}")
    assert report.is_good, report
    assert "the registry itself is not running" in " ".join(report.servers[0].warnings)
    assert operator.status(server, user="ana", password=PASSWORD) == 401
