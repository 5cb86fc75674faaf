"""`moorage logs` on a real server: its lines, filters, hostile requests, and new lines."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN, Operator
from raw_http import Wire

from lab import LabServer

# What Debian's logrotate does with nginx's logs.
ROTATE = (
    "cd /var/log/nginx && for log in *.log; do "
    "mv $log $log.1 && install -o www-data -g adm -m 640 /dev/null $log; done; "
    "kill -USR1 $(cat /run/nginx.pid)"
)
CREDENTIALS = {"users": [{"name": "ci", "password": {"env": "CI_PW"}}]}

pytestmark = pytest.mark.deployed(by_command=True, credentials=CREDENTIALS)


@pytest.fixture
def call(operator: Operator, server: LabServer) -> Iterator[CommandLine]:
    """A command line whose moorage.yml is deployed, on a server in Tokyo."""
    server.run("ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime")
    server.run("systemctl restart nginx moorage-registry@blue; truncate -s 0 /var/log/nginx/*.log")
    operator.leaks.add(PASSWORD, label="the password of ci")
    line = CommandLine(operator)
    yield line
    for process in line.going_on:
        process.kill()
        process.wait()


def rows(call: CommandLine, *options: str) -> list[dict[str, Any]]:
    """Return the rows that `moorage logs --json` prints."""
    outcome = call("logs", "moorage.yml", "--json", *options)
    assert outcome.code == 0, outcome.stderr
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def test_each_request_is_a_row_with_its_level(
    call: CommandLine, operator: Operator, server: LabServer
) -> None:
    assert call("verify", "moorage.yml", "--skip-large-upload").code == 0
    assert operator.status(server, "/v2/team/app/blobs/sha256:" + "a" * 64, method="HEAD") == 404
    assert operator.status(server, "/v2/team/app/manifests/missing") == 404
    assert operator.status(server, user=None) == 401
    assert operator.status(server, user="ghost", password="wrong") == 401
    found = [
        (row["level"], row["status"], row["method"], row["user"], row["repository"])
        for row in rows(call, "--no-checks")
        if row["program"] == "requests"
    ]
    assert found == [
        ("routine", 404, "HEAD", "ci", "team/app"),
        ("warning", 404, "GET", "ci", "team/app"),
        ("routine", 401, "GET", "", ""),
        ("warning", 401, "GET", "ghost", ""),
    ]
    # The checks include a wrong password and a manifest that is gone.
    checks = [row for row in rows(call) if row["is_check"]]
    assert {row["status"] for row in checks if row["program"] == "requests"} >= {200, 201, 401, 404}
    assert {row["level"] for row in checks} == {"routine"}
    assert rows(call, "--user", "ghost", "--status", "4xx")[0]["status"] == 401
    assert {row["repository"] for row in rows(call, "--repository", "team")} == {"team/app"}
    assert rows(call, "--level", "error") == []
    # nginx's times have a zone, and the journal's are sorted among them.
    times = [row["at"] for row in rows(call)]
    assert all(time.endswith(("+09:00", "+0900")) for time in times), times
    assert [time[:19] for time in times] == sorted(time[:19] for time in times)
    text = call("logs", "--server", f"root@{server.address}", "--key", str(server.key),
                "--user", "ghost").stdout  # fmt: skip
    assert " 401 GET    ghost    " in text


def test_what_clients_send_stays_in_its_column(
    call: CommandLine, operator: Operator, server: LabServer
) -> None:
    wire = Wire(server.address, DOMAIN)
    wire.ask(
        "GET", "/v2/", login=("a\t201\tPUT /v2/x", "no"), headers=("User-Agent: moorage-check",)
    )
    wire.ask("GET", "/v2/", login=("x\x1b[2J\n", "no"))
    wire.ask("HEAD", '/v2/a"level=panic/blobs/sha256:' + "b" * 64, login=("ci", PASSWORD))
    wire.ask("GET", "/v2/long/tags/list?" + "x" * 6000, login=("ci", PASSWORD))
    found = [row for row in rows(call, "--no-checks") if row["program"] == "requests"]
    assert [row["status"] for row in found[:2]] == [401, 401]
    assert found[0]["user"] == "a\\x09201\\x09PUT /v2/x"
    assert found[1]["user"].startswith("x\\x1B[2J")
    assert "panic" not in {row["level"] for row in rows(call)}
    assert len(found[3]["path"]) > 6000
    shown = call("logs", "moorage.yml").stdout
    assert "\x1b" not in shown
    assert ' user="a\\\\x09201\\\\x09PUT /v2/x"' in shown


def test_the_registry_can_log_as_json(
    call: CommandLine, operator: Operator, server: LabServer
) -> None:
    call.write_answers(
        server,
        registry={"domain": DOMAIN, "settings": {"log": {"formatter": "json"}}},
        credentials=CREDENTIALS,
    )
    assert call("apply", "moorage.yml", "--yes", "--no-verify").code == 0
    assert operator.status(server, "/v2/team/json/manifests/missing") == 404
    (row,) = (
        row
        for row in rows(call, "--repository", "team/json")
        if row["program"] == "docker-registry"
    )
    assert (row["status"], row["method"], row["level"]) == (404, "GET", "warning")
    assert "unknown" in row["message"]


def test_new_lines_follow_until_ctrl_c(
    call: CommandLine, operator: Operator, server: LabServer
) -> None:
    assert operator.status(server, "/v2/team/app/manifests/before") == 404
    process = call.start("logs", "moorage.yml", "-f", "--repository", "team/app")
    call.until(process, "/v2/team/app/manifests/before")
    assert operator.status(server, "/v2/team/app/manifests/after") == 404
    assert "[check]" not in call.until(process, "/v2/team/app/manifests/after")
    process.send_signal(signal.SIGINT)
    ended = call.finish(process)
    assert (ended.code, ended.stderr) == (130, "")
    # The programs on the server end with the connection.
    server.run(
        "for i in $(seq 50); do pgrep -x 'tail|journalctl' || exit 0; sleep 0.2; done; false"
    )


def test_following_survives_lost_connections_and_rotated_logs(
    call: CommandLine, operator: Operator, server: LabServer
) -> None:
    def request(name: str) -> None:
        assert operator.status(server, f"/v2/team/app/manifests/{name}") == 404

    def shown_up_to(name: str) -> str:
        path = f"/v2/team/app/manifests/{name}"
        return call.until(
            process, f'"program": "requests", "message": "", "method": "GET", "path": "{path}"'
        )

    request("first")
    process = call.start("logs", "moorage.yml", "-f", "--json", "--repository", "team/app")
    shown = shown_up_to("first")
    # The log is rotated while it is followed.
    server.run(ROTATE)
    request("rotated")
    shown += shown_up_to("rotated")

    # The connection goes, a request is logged, the log is rotated, and another one is logged.
    server.run("systemctl stop ssh; pkill -KILL -x sshd || :; pkill -KILL sshd-session || :")
    shown += call.until(process, "Reconnecting")
    request("away")
    server.run(ROTATE)
    request("away-rotated")
    server.run("systemctl start ssh")
    shown += shown_up_to("away-rotated")
    request("last")
    shown += shown_up_to("last")

    # The same under traffic.
    numbers = [str(number) for number in range(1000, 1401)]
    traffic = threading.Thread(target=lambda: [request(f"n{number}") for number in numbers])
    traffic.start()
    shown += shown_up_to("n1050")
    server.run("pkill -KILL -f '^sshd: root' || pkill -KILL sshd-session")
    server.run(ROTATE)
    shown += shown_up_to("n1400")
    traffic.join()

    found = [json.loads(line) for line in shown.splitlines()]
    requests = [row["path"].rpartition("/")[2] for row in found if row.get("program") == "requests"]
    assert requests == [
        "first", "rotated", "away", "away-rotated", "last", *(f"n{number}" for number in numbers)
    ]  # fmt: skip
    notices = [row["notice"] for row in found if "notice" in row]
    # Of nginx's errors, which nobody waited for above, the log can be rotated twice meanwhile.
    notices = [notice for notice in notices if "rotated twice" not in notice]
    assert len(notices) == 4, notices
    assert all(each.startswith("Reconnected after ") for each in notices[1::2])
    journal = [row["message"] for row in found if row.get("program") == "docker-registry"]
    assert len(journal) == len(set(journal)), journal
    process.send_signal(signal.SIGINT)
    assert call.finish(process).code == 130
    server.run(
        "for i in $(seq 50); do pgrep -x 'tail|journalctl' || exit 0; sleep 0.2; done; false"
    )
