"""What goes wrong on real servers ends in one clear paragraph, with nothing half-done."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from moorage.answers.model import Answers
from moorage.deploy.status.discovery import answers_for
from moorage.deploy.status.rows import status_rows
from moorage.deploy.status.status import read_status
from moorage.errors import CannotConnect, ExitCode, MoorageError, ServersFailed, SudoRefused


def _only_error(operator: Operator, answers: Answers) -> MoorageError:
    with pytest.raises(ServersFailed) as caught:
        operator.plan(answers)
    [error] = caught.value.errors
    assert error.server == answers.servers[0].host
    assert error.advice
    return error


def _untouched(server: LabServer) -> None:
    found = server.run(
        "ls -d /etc/moorage /etc/nginx/moorage /etc/nginx/conf.d/moorage.conf", check=False
    )
    assert found.stdout == ""


def test_an_unreachable_server(operator: Operator, server: LabServer) -> None:
    answers = operator.answers(
        [server], servers=[{"host": server.address, "port": 2222, "key": str(server.key)}]
    )
    error = _only_error(operator, answers)
    assert error.exit_code is ExitCode.CANNOT_CONNECT
    assert "2222" in error.message
    _untouched(server)


def test_a_refused_key(operator: Operator, server: LabServer, tmp_path: Any) -> None:
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    answers = operator.answers(
        [server], servers=[{"host": server.address, "user": "root", "key": str(tmp_path / "other")}]
    )
    error = _only_error(operator, answers)
    assert isinstance(error, CannotConnect)
    assert error.code == "login_refused"
    _untouched(server)


def test_a_wrong_sudo_password(
    operator: Operator, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_PASSWORD", "not-the-password")
    login = {
        "host": server.address,
        "user": "admin",
        "key": str(server.key),
        "sudo_password": {"env": "SUDO_PASSWORD"},
    }
    error = _only_error(operator, operator.answers([server], servers=[login]))
    assert isinstance(error, SudoRefused)
    _untouched(server)


def test_port_443_taken_by_another_program(operator: Operator, server: LabServer) -> None:
    server.write_file(
        "/srv/squatter.py",
        "import socket, time\ns = socket.create_server(('', 443))\ntime.sleep(600)\n",
    )
    server.run("systemd-run --unit=squatter python3 /srv/squatter.py")
    for _ in range(50):
        if ":443" in server.run("ss -Hltn").stdout:
            break
        time.sleep(0.1)
    with operator.open(operator.answers([server])) as deployment:
        plan = deployment.plan()
        [problem] = plan.problems
        with pytest.raises(ServersFailed):
            deployment.apply(plan)
    assert problem.code == "port_taken"
    assert "port 443 is taken by python3" in problem.message
    assert problem.fields == ("registry.port",)
    _untouched(server)


def test_no_route_to_the_package_mirror(operator: Operator, server: LabServer) -> None:
    # Without the lab's cache of packages too.
    server.run("umount /var/cache/apt/archives; ip route replace unreachable default")
    outcome = operator.apply(operator.answers([server]))
    [report] = outcome.report.servers
    assert report.status == "failed"
    assert report.step == "packages"
    assert "package" in report.message
    assert "could not be" in report.message
    _untouched(server)


def test_a_full_disk_is_found_before_the_run(operator: Operator, server: LabServer) -> None:
    server.run("mkdir -p /srv/images && mount -t tmpfs -o size=64m tmpfs /srv/images")
    storage = {"driver": "filesystem", "filesystem": {"path": "/srv/images/registry"}}
    with operator.open(operator.answers([server], storage=storage)) as deployment:
        [problem] = deployment.plan().problems
    assert problem.code == "disk_full"
    assert "/srv/images" in problem.message
    _untouched(server)


def test_a_read_only_file_system_is_named(operator: Operator, server: LabServer) -> None:
    answers = operator.answers([server])
    for folder in ("/etc", "/var", "/usr/local", "/usr"):
        server.run(f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}")
        problems = operator.plan(answers).problems
        assert [each.code for each in problems] == ["read_only"], folder
        assert f"{folder} is read-only" in problems[0].message
        server.run(f"umount -l {folder}")
    assert operator.plan(answers).problems == ()


@pytest.mark.deployed
def test_a_disk_that_fills_up_during_the_run_rolls_back(
    operator: Operator, server: LabServer
) -> None:
    server.run(
        "cd /etc/moorage/registry && mount -t tmpfs -o size=4k tmpfs green && "
        "head -c 4096 /dev/zero > green/full || true"
    )
    answers = operator.answers(
        [server], registry={"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    )
    outcome = operator.apply(answers)
    [report] = outcome.report.servers
    assert report.status == "failed"
    assert "could not be written" in report.message
    assert "rolled back" in outcome.log
    assert operator.status(server) == 200


@pytest.mark.ready
def test_a_store_that_refuses_the_keys_rolls_back(
    operator: Operator, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_ACCESS_KEY", "wrong-access-key")
    monkeypatch.setenv("S3_SECRET_KEY", "wrong-secret-key")
    storage = {
        "driver": "s3",
        "s3": {
            "bucket": "images",
            "region": "us-east-1",
            "regionendpoint": f"http://{server.address}:9",
            "accesskey": {"env": "S3_ACCESS_KEY"},
            "secretkey": {"env": "S3_SECRET_KEY"},
            "secure": False,
        },
    }
    outcome = operator.apply(operator.answers([server], storage=storage))
    [report] = outcome.report.servers
    assert report.status == "failed"
    assert "storage" in report.message or "registry" in report.message
    assert operator.status(server) == 0


@pytest.mark.deployed
def test_the_facts_show_a_failed_run(operator: Operator, server: LabServer, tmp_path: Any) -> None:
    answers = operator.answers([server])
    # Somebody breaks nginx's configuration once the plan was made.
    script = tmp_path / "break.sh"
    script.write_text("#!/bin/sh\necho 'nonsense;' >/etc/nginx/conf.d/broken.conf\n")
    hook = {"name": "break", "script": str(script), "when": ["before_apply"]}
    debug = {"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    changed = operator.answers([server], registry=debug, hooks=[hook])
    outcome = operator.apply(changed)
    with operator.open(answers) as deployment:
        [facts] = deployment.probe()
    last = facts.runs[-1]
    assert last.run_id == outcome.report.servers[0].run_id
    assert last.status == "failed"
    assert "broken.conf" in last.message

    with operator.open(answers) as deployment:
        status = read_status(deployment, with_plan=True)
    assert "run_failed" in [each.code for each in status.servers[0].problems]
    server.run("rm /etc/nginx/conf.d/broken.conf")
    with operator.open(answers) as deployment:
        status = read_status(deployment, with_plan=True)
        assert status.exit_code == ExitCode.DONE, status.servers[0].problems
        [row] = [row for row in status_rows(status.servers[0]) if row.key == "run"]
        assert "fixed since: the server matches its record" in row.text
    # Likewise without a plan: on the dashboard, and for servers given by address.
    for known in (answers, answers_for(answers.servers)):
        with operator.open(known) as deployment:
            [read] = read_status(deployment).servers
        assert read.is_healthy, read.problems
        assert read.is_fixed_since
    # Not for other answers.
    for with_plan in (True, False):
        with operator.open(operator.answers([server], registry=debug)) as deployment:
            status = read_status(deployment, with_plan=with_plan)
        assert [each.code for each in status.servers[0].problems] == ["run_failed"]
    # A server that differs from its record is not fixed.
    server.run("echo '#' >>/etc/nginx/conf.d/moorage.conf")
    with operator.open(answers) as deployment:
        [read] = read_status(deployment).servers
    assert {each.code for each in read.problems} == {"run_failed", "file_modified"}

    # Refused runs do not push this one out of the list.
    server.run(
        "cd /var/lib/moorage/runs && for i in $(seq 100 115); do mkdir 29991231-$i && "
        "printf 'locked\nrun_locked\nx\n' >29991231-$i/result; done"
    )
    operator.apply(operator.answers([server], registry=debug))
    with operator.open(answers) as deployment:
        [facts] = deployment.probe()
    assert last.run_id in {each.run_id for each in facts.runs}
    assert facts.last_run is not None
    assert facts.last_run.status == "done"


@pytest.mark.ready
def test_a_folder_with_other_files_is_not_touched(operator: Operator, server: LabServer) -> None:
    server.run(
        "install -d -o deploy -g deploy /srv/app && install -o deploy /dev/null /srv/app/mine"
    )
    storage = {"driver": "filesystem", "filesystem": {"path": "/srv/app"}}
    outcome = operator.apply(operator.answers([server], storage=storage))
    assert outcome.report.servers[0].status == "failed"
    assert "/srv/app holds other files" in outcome.report.servers[0].message
    assert server.run("stat -c %U /srv/app /srv/app/mine").stdout.split() == ["deploy", "deploy"]


@pytest.mark.ready
def test_a_lost_image_folder_is_recreated_when_accepted(
    operator: Operator, server: LabServer
) -> None:
    domain = "services.internal.eu-central-1.example-corporation.test"
    answers = operator.answers([server], registry={"domain": domain})
    operator.install(answers)
    server.run("rm -rf /var/lib/moorage/registry")
    with operator.open(answers) as deployment, pytest.raises(ServersFailed) as refused:
        deployment.apply(deployment.plan())
    assert refused.value.errors[0].code == "store_missing"
    operator.install(answers)
    upload = "/v2/team/app/blobs/uploads/"
    assert operator.status(server, upload, method="POST", domain=domain) == 202
