"""Whatever happens to nginx or to a run, nginx can be started, and every site of it serves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest
from operator_at_work import DOMAIN, Operator

from lab import LabServer

KILL_NGINX = "for process in $(pidof nginx); do kill -9 $process; done"
MASTER = "systemctl show -p MainPID --value nginx"
NEIGHBOUR = "server { listen 8080; return 200 neighbour; }\n"
# It passes nginx's test, and cannot be opened all the same: another program has the port.
TAKEN = "server { listen 8082; }\n"
SQUATTER = "import socket, time; s = socket.create_server(('', 8082)); time.sleep(600)"


def _neighbour(server: LabServer) -> str:
    return subprocess.run(
        ["curl", "-s", "-m", "10", f"http://{server.address}:8080/"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip


def _wait_until(condition: Callable[[], bool], server: LabServer) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, server.run("journalctl -u nginx -n 20").stdout
        time.sleep(0.1)


def _wait_for_both(operator: Operator, server: LabServer) -> None:
    # A worker that is about to be killed may still have answered the first of the two.
    _wait_until(
        lambda: _neighbour(server) == "neighbour" and operator.status(server) == 200, server
    )


def _take_the_port(server: LabServer) -> None:
    server.run(["systemd-run", "--unit=squatter", "python3", "-c", SQUATTER])
    server.run("until ss -Hltn | grep -q :8082; do sleep 0.1; done")
    server.write_file("/etc/nginx/conf.d/taken.conf", TAKEN)


def _give_the_port_back(server: LabServer) -> None:
    server.run("systemctl stop squatter; rm /etc/nginx/conf.d/taken.conf")


@pytest.mark.ready
def test_nginx_starts_after_a_first_run_that_fails(operator: Operator, server: LabServer) -> None:
    server.write_file("/etc/nginx/conf.d/neighbour.conf", NEIGHBOUR)
    server.run("systemctl reload nginx")
    _take_the_port(server)
    outcome = operator.apply(operator.answers([server]))
    assert outcome.report.servers[0].status == "failed"
    assert _neighbour(server) == "neighbour"
    assert server.run("ls /run/moorage", check=False).stdout == ""
    _give_the_port_back(server)
    operator.install(operator.answers([server]))
    _wait_for_both(operator, server)


@pytest.mark.deployed
def test_nginx_starts_after_it_was_killed_and_after_a_reload_that_fails(
    operator: Operator, server: LabServer
) -> None:
    answers = operator.answers([server])
    server.write_file("/etc/nginx/conf.d/neighbour.conf", NEIGHBOUR)
    server.run("systemctl reload nginx")

    # What is in use is left alone.
    sockets = server.run("ls -i /run/moorage").stdout
    server.run("/etc/moorage/clear-sockets.sh")
    assert ".sock" in sockets
    assert server.run("ls -i /run/moorage").stdout == sockets

    # Killed, it is started by hand; and it comes back by itself, again and again.
    server.run(f"{KILL_NGINX}; systemctl start nginx")
    _wait_for_both(operator, server)
    for what in (KILL_NGINX, f"kill -9 $({MASTER})", KILL_NGINX):
        server.run(what)
        _wait_for_both(operator, server)
    assert not operator.plan(answers).has_changes
    # A worker that is killed for want of memory takes nobody along.
    assert server.run("systemctl show -p OOMPolicy --value nginx").stdout == "continue\n"

    # What it refuses, it is not made to try again and again, and the unit shows it.
    server.write_file("/etc/nginx/conf.d/broken.conf", "nonsense;\n")
    server.run(KILL_NGINX)
    state = "systemctl show -p ActiveState -p NRestarts --value nginx"
    _wait_until(lambda: "failed" in server.run(state).stdout, server)
    failed = server.run(state).stdout
    time.sleep(3)
    assert server.run(state).stdout == failed
    server.run("rm /etc/nginx/conf.d/broken.conf; systemctl start nginx")
    _wait_for_both(operator, server)

    # A reload that has to open the sockets anew, and fails.
    server.run(
        "cd /etc/nginx/conf.d && mv moorage.conf /root/ && systemctl reload nginx && sleep 1 &&"
        " mv /root/moorage.conf ."
    )
    _take_the_port(server)
    changed = operator.answers(
        [server], registry={"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    )
    outcome = operator.apply(changed)
    assert outcome.report.servers[0].status == "failed"
    assert _neighbour(server) == "neighbour"
    assert server.run("ls /run/moorage").stdout == ""
    _give_the_port_back(server)
    operator.install(changed)
    _wait_for_both(operator, server)
