"""Retention and collection on the server's own schedule, and its recovery at boot."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from image_client import digest_of
from images_at_work import client_of
from operator_at_work import Operator

from lab import LabServer
from moorage.answers.model import Answers
from moorage.deploy.images.schedule import Schedule
from moorage.deploy.lifecycle.history import Kind, read_history
from moorage.deploy.status.status import read_status
from moorage.desired import layout
from moorage.images.alive import CLOCK_STEP
from moorage.servers.run_results import RunStatus

pytestmark = pytest.mark.ready("python3")
TIMER = "moorage-collect.timer"
TRASH = "/var/lib/moorage/registry/moorage-trash"
BLOBS = "/var/lib/moorage/registry/docker/registry/v2"


def _schedule(operator: Operator, answers: Answers) -> tuple[Schedule | None, list[str]]:
    with operator.open(answers) as deployment:
        [status] = read_status(deployment).servers
    return status.schedule, [problem.code for problem in status.problems]


def _exists(server: LabServer, path: str) -> bool:
    return server.run(f"test -e {path} || test -L {path}", check=False).returncode == 0


def test_the_schedule(operator: Operator, server: LabServer) -> None:
    parts: dict[str, Any] = {
        "retention": [{"repositories": ["team/*"], "keep": {"last": 1, "tags": ["v*"]}}],
        "collect": {"when": "Sun 03:00", "grace": "0s", "young": "0s"},
    }
    answers = operator.answers([server], **parts)

    # The server has the last word on what a calendar expression is.
    odd = answers.collect.model_copy(update={"when": "Sun 03:00 Mars/Olympus"})
    with operator.open(answers.model_copy(update={"collect": odd})) as deployment:
        [problem] = deployment.plan().servers[0].problems
    assert problem.code == "schedule_refused"
    assert "Mars/Olympus" in problem.message
    never = answers.collect.model_copy(update={"when": "2020-01-01"})
    with operator.open(answers.model_copy(update={"collect": never})) as deployment:
        [problem] = deployment.plan().servers[0].problems
    assert "never comes" in problem.message
    assert not _exists(server, layout.COLLECT_TIMER)

    operator.install(answers)
    client = client_of(operator, server)
    layers = {name: os.urandom(20_000) for name in ("v1", "old", "new", "kept")}
    for name in ("v1", "old", "new"):
        client.push("team/app", name, [layers[name]])
        time.sleep(1.1)
    client.push("other", "old", [layers["kept"]])
    assert server.run(f"systemctl is-active {TIMER}").stdout.strip() == "active"
    schedule, problems = _schedule(operator, answers)
    assert schedule is not None
    assert (schedule.when, schedule.last, problems) == ("Sun 03:00", None, [])
    assert schedule.next_at is not None
    assert time.gmtime(schedule.next_at)[3:6] == (3, 0, 0)

    # Looking again for a minute would take too long here.
    settings = json.loads(server.read_file(layout.COLLECT_SETTINGS))
    server.write_file(layout.COLLECT_SETTINGS, json.dumps({**settings, "looks": [1.0]}))
    time.sleep(CLOCK_STEP + 0.5)
    server.run("systemctl start moorage-collect.service")

    log = server.run(
        "cat $(ls -d /var/lib/moorage/runs/*/scheduled | tail -n 1 | xargs dirname)/log"
    )
    print(log.stdout)
    for repository, tag, status in (
        ("team/app", "v1", 200), ("team/app", "new", 200), ("other", "old", 200),
        ("team/app", "old", 404),
    ):  # fmt: skip
        assert client.status("GET", f"/v2/{repository}/manifests/{tag}") == status, (tag, log)
    assert client.status("HEAD", f"/v2/team/app/blobs/{digest_of(layers['old'])}") == 404
    schedule, problems = _schedule(operator, answers)
    assert schedule is not None
    assert schedule.last is not None
    assert schedule.last.status is RunStatus.DONE, schedule
    assert schedule.last.numbers["tags"] == 1
    assert schedule.last.numbers["bytes"] > 20_000
    assert problems == ["file_modified"]
    with operator.open(answers) as deployment:
        row = next(row for row in read_history(deployment).rows if row.kind is Kind.SCHEDULED)
    assert row.by == "on schedule"
    assert row.what.startswith("removed 1 tag by the retention rules, collected 2"), row.what

    # It fails where it cannot hold writes, and status says so.
    server.run("mv /var/lib/moorage/registry/.moorage-store /root/marker")
    server.run("systemctl start moorage-collect.service", check=False)
    server.run("mv /root/marker /var/lib/moorage/registry/.moorage-store")
    schedule, problems = _schedule(operator, answers)
    assert schedule is not None
    assert schedule.last is not None
    assert schedule.last.code == "images_store_missing"
    assert "collection_failed" in problems

    # A power failure while files are being moved: they are back before the registry starts.
    hexadecimal = digest_of(layers["kept"]).partition(":")[2]
    path = f"blobs/sha256/{hexadecimal[:2]}/{hexadecimal}/data"
    entry = json.dumps([path, f"sha256:{hexadecimal}", 20_000])
    server.run(f"mkdir -p {TRASH}/lost.000")
    server.write_file(f"{TRASH}/lost.000/list", f"{entry}\n")
    server.write_file(f"{TRASH}/lost.000/state", "sweeping\n")
    server.run(f"mv {BLOBS}/{path} {TRASH}/lost.000/0; sync")
    assert client.status("GET", f"/v2/other/blobs/sha256:{hexadecimal}") == 404
    server.crash()
    server.start()
    assert server.run("systemctl is-active moorage-recover.service").stdout.strip() == "active"
    assert not _exists(server, f"{TRASH}/lost.000")
    server.run("until [ -S /run/moorage-registry/*/registry.sock ]; do sleep 0.2; done")
    assert client_of(operator, server).pull("other", "old")
    assert server.run(f"systemctl is-active {TIMER}").stdout.strip() == "active"

    # A new schedule does not make up for times before it was in effect.
    server.run(f"touch -d '2 days ago' {layout.COLLECT_STAMP}")
    operator.install(operator.answers([server], **{**parts, "collect": {"when": "daily"}}))
    time.sleep(2)
    began = "systemctl show -P ExecMainStartTimestampMonotonic moorage-collect.service"
    assert server.run(began).stdout.strip() == "0"

    # Without a schedule, nothing of it is left.
    operator.install(operator.answers([server], retention=parts["retention"]))
    assert server.run(f"systemctl is-active {TIMER}", check=False).stdout.strip() == "inactive"
    for file in (*layout.COLLECT_FILES, layout.COLLECT_WANTED, layout.COLLECT_STAMP):
        assert not _exists(server, file), file
    assert _schedule(operator, answers)[0] is None
