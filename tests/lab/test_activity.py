"""Pushes and pulls by real clients, as the server's index knows them."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import time
from pathlib import Path

import pytest
from boot_servers import BootServers
from images_at_work import Images, client_of
from operator_at_work import DOMAIN, Operator, copy_back, inspect_digest, push
from raw_http import Wire, basic

from lab import LabServer
from lab.image import build_small_image
from moorage.answers.model import Answers
from moorage.deploy.images.activity import Activity, read_activity
from moorage.deploy.status.status import status_of
from moorage.desired import layout
from moorage.images.alive import CLOCK_STEP

pytestmark = pytest.mark.ready

USERS = [
    {"name": "ci", "password": {"generate": True}},
    {"name": "ana", "access": "pull", "password": {"generate": True}},
]


def _read(operator: Operator, answers: Answers) -> Activity:
    with operator.open(answers) as deployment:
        activity = read_activity(deployment)
    assert activity.left_out == ()
    return activity


def _pulled_by(activity: Activity, repository: str, reference: str) -> str:
    used = activity.images[repository, reference]
    return used.pulled.user if used.pulled else ""


def test_pushes_and_pulls_of_real_clients(
    operator: Operator, server: LabServer, client: LabServer, tmp_path: Path
) -> None:
    answers = operator.answers([server], credentials={"users": USERS})
    began = int(time.time())
    operator.install(answers, verify=True)
    fresh = _read(operator, answers)
    # The checks of an apply are neither logins nor pulls.
    assert (fresh.images, fresh.users, fresh.events) == ({}, {}, [])
    assert fresh.covers_since is not None
    assert began <= fresh.covers_since <= time.time()

    operator.trust(client, server)
    operator.log_in(client)
    image = build_small_image(tmp_path / "small.tar", "activity:1")
    digest = push(client, image, "team/app:1")
    push(client, image, "team/app:2")
    push(client, image, "team/other:1")
    pushed = _read(operator, answers)
    for tag in ("1", "2"):
        use = pushed.images["team/app", tag]
        assert use.pushed is not None
        assert use.pushed.user == "ci"
        assert use.pulled is None
    images = [event.image for event in pushed.events]
    assert images == ["team/other:1", "team/app:2", "team/app:1"]

    # Another user: by tag with Docker, by digest with skopeo, and only a look.
    operator.log_in(client, "ana")
    client.run(f"docker image rm {DOMAIN}/team/app:1")
    client.run(f"docker pull -q {DOMAIN}/team/app:1")
    copy_back(client, f"{DOMAIN}/team/other@{digest}")
    # Refused, and not there.
    assert operator.status(server, "/v2/team/app/manifests/3", user="ana") == 404
    assert operator.status(server, "/v2/team/app/manifests/2", user="ci", password="x") == 401
    assert operator.status(server, "/v2/team/app/manifests/2", user="ana", method="DELETE") == 403
    operator.apply(answers, verify=True)

    pulled = _read(operator, answers)
    assert _pulled_by(pulled, "team/app", "1") == "ana"
    assert _pulled_by(pulled, "team/other", digest) == "ana"
    assert pulled.of("team/app", "2", digest).pulled == pulled.images["team/app", digest].pulled
    assert pulled.images["team/app", "2"].pulled is None
    assert ("team/app", "3") not in pulled.images
    assert set(pulled.users) == {"ci", "ana"}
    assert pulled.covers_since == fresh.covers_since
    total = sum(traffic.failed for traffic in pulled.hours.values())
    assert total >= 3

    # The log is rotated while a client pulls, and the oldest one is lost later.
    server.run("apt-get -q -y install logrotate")
    server.run("logrotate -f /etc/logrotate.d/nginx")
    assert inspect_digest(client, f"{DOMAIN}/team/app:2") == digest
    server.run("logrotate -f /etc/logrotate.d/nginx")
    client.run(
        ["podman", "pull", "-q", "--authfile", "/root/.docker/config.json", f"{DOMAIN}/team/app:2"]
    )
    rotated = _read(operator, answers)
    assert _pulled_by(rotated, "team/app", "2") == "ana"
    assert rotated.covers_since == fresh.covers_since
    server.run("rm /var/log/nginx/moorage.log.*")
    assert _read(operator, answers).covers_since == fresh.covers_since

    # Requests that no log has: the index is complete only from then on.
    server.run("rm /var/log/nginx/moorage.log && nginx -s reopen")
    assert operator.status(server, "/v2/team/app/manifests/1", user="ana") in {200, 404}
    lost = _read(operator, answers)
    assert lost.covers_since is not None
    assert fresh.covers_since < lost.covers_since <= time.time()
    assert _pulled_by(lost, "team/app", "2") == "ana"


def test_no_request_damages_the_index_or_fakes_a_user(
    operator: Operator, server: LabServer
) -> None:
    answers = operator.answers([server], credentials={"users": USERS})
    operator.install(answers)
    client = client_of(operator, server)
    client.push("team/app", "1", [os.urandom(100)])
    before = _read(operator, answers)
    wire = Wire(server.address, DOMAIN)
    path = "/v2/team/app/manifests/1"
    good, claimed = basic("ana", operator.passwords["ana"]), basic("ci", "wrong")
    stamp = "2026-01-01T00:00:00+00:00\tci\t200\tGET"
    fake = "\n" + "\t".join([stamp, path, "::1", "1", "0", "docker", "unix:/run/x.sock", ""])
    requests: list[tuple[str, ...]] = [
        ("GET", path, claimed), ("GET", path, claimed, good), ("GET", path, basic("ci\t200", "x")),
        ("GET", path, basic("ci\n" + fake, "x")), ("GET", path, f"User-Agent: {fake}", claimed),
        ("GET", f"{path}?x={fake}", claimed), ("GET", path.replace("1", "%31"), good),
        ("GET", path.replace("team", "../team"), good), ("GET", "/v2/" + "a/" * 4000, good),
        ("GET", "http://x" + path, claimed), ("PUT\x01", path, claimed), ("FOO", path, claimed),
        ("GET", path + "\x80\xff", claimed), ("GET", "*", claimed), ("\x16\x03\x01", "\x00"),
        ("GET", path, "User-Agent: " + "\xff" * 7000, claimed),
        ("GET", path, "Authorization: Basic Y2k=" + "\x00" * 9), ("GET", path, f"X: {good}"),
    ]  # fmt: skip
    for request in requests:
        with contextlib.suppress(OSError, http.client.HTTPException):
            wire.ask(*request[:2], headers=request[2:])
    with contextlib.suppress(OSError, http.client.HTTPException):
        wire.send(f"GET {path}\r\n\r\n".encode())
    with socket.create_connection((server.address, 443)) as connection:
        connection.sendall(b"\xff\x00\n\t\n")

    after = _read(operator, answers)
    assert after.covers_since == before.covers_since
    assert after.users["ci"] == before.users["ci"]
    assert set(after.users) <= {"ci", "ana"}
    assert set(after.images) == set(before.images)
    pulls = {use.pulled.user for use in after.images.values() if use.pulled}
    assert pulls <= {"ana"}
    failed = sum(each.failed for each in after.hours.values())
    assert failed > sum(each.failed for each in before.hours.values()) + 8


@pytest.mark.deployed
def test_the_service_can_do_nothing_else(operator: Operator, server: LabServer) -> None:
    answers = operator.answers([server])
    assert server.run("systemctl is-active moorage-activity.timer").stdout.strip() == "active"
    server.run("systemctl start moorage-activity.service")
    rating = server.run("systemd-analyze security --no-pager moorage-activity.service").stdout
    level = float(rating.rpartition("service: ")[2].split()[0])
    assert level < 2, rating
    # The index survives a crash of the server.
    before = server.read_file(layout.ACTIVITY_INDEX)
    server.crash()
    server.start()
    server.run("systemctl start moorage-activity.service")
    assert server.read_file(layout.ACTIVITY_INDEX).splitlines()[1] == before.splitlines()[1]

    server.write_file(layout.ACTIVITY_SCRIPT, "raise OSError\n")
    server.run("systemctl start moorage-activity.service", check=False)
    problems = status_of(operator.plan(answers).servers[0].facts).problems
    assert "activity_failed" in [problem.code for problem in problems]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_server_deployed_before(suite: str, operator: Operator, servers: BootServers) -> None:
    [server] = servers(1, suite=suite)
    answers = operator.answers([server])
    operator.install(answers)
    files = (layout.ACTIVITY_SCRIPT, layout.ACTIVITY_SERVICE, layout.ACTIVITY_TIMER)
    server.run(f"systemctl stop moorage-activity.timer && rm {' '.join(files)}")
    server.run("systemctl daemon-reload")
    assert operator.status(server) == 200
    activity = _read(operator, answers)
    assert "ci" in activity.users
    assert activity.covers_since is not None

    operator.install(answers)
    assert "ci" in _read(operator, answers).users
    assert server.run("systemctl is-active moorage-activity.timer").stdout.strip() == "active"


@pytest.mark.ready("python3")
def test_images_pulled_by_digest_are_not_collected(operator: Operator, server: LabServer) -> None:
    answers = operator.answers([server])
    operator.install(answers)
    images, client = Images(operator, answers), client_of(operator, server)
    client.push("team/app", "latest", [os.urandom(1000)])
    in_use = client.push("team/app", "", [os.urandom(2000)])["digest"]
    forgotten = client.push("team/app", "", [os.urandom(3000)])["digest"]
    assert client.status("HEAD", f"/v2/team/app/manifests/{in_use}") == 200
    time.sleep(CLOCK_STEP + 0.5)

    plan, _ = images.collect(grace=1, takes_untagged=False)
    assert plan.collection.kept_untagged == 2
    assert _read(operator, answers).covers_since is not None
    # As if the index had begun two months ago.
    server.run(f"sed -i 's/^covers_since.*/covers_since\t1000/' {layout.ACTIVITY_INDEX}")
    plan, change = images.collect(grace=1, takes_untagged=False)
    assert change.is_good, (change, images.log)
    assert (plan.collection.kept_untagged, plan.collection.manifests) == (0, 1)
    assert client.status("GET", f"/v2/team/app/manifests/{in_use}") == 200
    assert client.status("GET", f"/v2/team/app/manifests/{forgotten}") == 404
