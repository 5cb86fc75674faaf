"""Three servers on one bucket: what is pushed to one is pulled from the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator, copy_back, push
from strict_s3 import strict_s3

from lab import Lab, LabServer
from lab.image import build_small_image
from lab.services import ObjectStore
from moorage.answers.model import Answers
from moorage.deploy.events import Event, StepBegan
from moorage.deploy.images.run import read_to_move
from moorage.deploy.plan.consequences import Code
from moorage.deploy.users.change import change_users, plan_change, read_users
from moorage.errors import ExitCode, MoorageError
from moorage.users import edits

pytestmark = pytest.mark.ready
FOLDERS = ("/var/lib/moorage", "/var/lib/moorage/runs", "/etc/moorage")
"""The folders that a run writes to after the server is staged; links and renames count as well."""


def s3_storage(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, **more: Any) -> dict[str, Any]:
    """The answers' storage part for the lab's S3 server."""
    monkeypatch.setenv("S3_ACCESS_KEY", store.access_key)
    monkeypatch.setenv("S3_SECRET_KEY", store.secret_key)
    return {
        "driver": "s3",
        "s3": {
            "bucket": store.bucket,
            "region": store.region,
            "regionendpoint": store.endpoint,
            "accesskey": {"env": "S3_ACCESS_KEY"},
            "secretkey": {"env": "S3_SECRET_KEY"},
            "secure": False,
            **more,
        },
    }


def _three(
    operator: Operator,
    machines: list[LabServer],
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    **parts: Any,
) -> Answers:
    return operator.answers(machines, storage=s3_storage(store, monkeypatch), **parts)


def test_docker_and_package_servers_share_a_bucket(
    lab: Lab,
    operator: Operator,
    servers: Any,
    client: LabServer,
    registry_image: Path,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    machines = servers(3, extra=["docker.io"])
    # Read as YAML the one key is a number, and the other one no YAML at all.
    access, secret = "12345e78", "@harbour-bell 77 #'x\"\\$y"
    with strict_s3(lab.gateway, {access: secret}, s3.endpoint) as strict:
        store = replace(s3, endpoint=strict.endpoint, access_key=access, secret_key=secret)
        answers = _three(
            operator,
            machines,
            store,
            monkeypatch,
            registry={
                "image": "docker.io/library/registry:2.8",
                "image_archive": str(registry_image),
            },
            servers=[
                {
                    "host": machine.address,
                    "user": "root",
                    "key": str(machine.key),
                    "runtime": runtime,
                }
                for machine, runtime in zip(machines, ("package", "docker", "package"), strict=True)
            ],
        )

        outcome = operator.install(answers, verify=True)

        assert outcome.verification is not None
        assert any(check.name.startswith("upload started") for check in outcome.verification.checks)
        operator.trust(client, machines[0])
        operator.log_in(client)
        image = build_small_image(tmp_path / "shared.tar", "shared:1")
        digest = push(client, image, "team/shared:1")
        for machine in machines[1:]:
            operator.trust(client, machine)
            copy_back(client, f"{DOMAIN}/team/shared@{digest}")
        assert not operator.plan(answers).has_changes
        assert strict.refused == []


def test_a_server_that_left_and_joins_again_gets_the_users_of_the_others(
    operator: Operator, servers: Any, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machines = servers(2)
    ci, bob = ({"name": name, "password": {"generate": True}} for name in ("ci", "bob"))

    def of(*places: LabServer, users: list[dict[str, Any]]) -> Answers:
        storage = s3_storage(s3, monkeypatch)
        return operator.answers(places, storage=storage, credentials={"users": users})

    operator.install(of(*machines, users=[ci, bob]))
    alone = of(second, users=[ci])
    with operator.open(alone) as deployment, pytest.raises(MoorageError) as refused:
        read_to_move(deployment)
    assert refused.value.code == "images_server_missing"

    outcome = operator.install(alone)
    told = {each.code: each for each in outcome.plan.consequences}[Code.SERVER_LEFT_OUT]
    assert told.servers == (first.address,)
    assert f"moorage uninstall --server root@{first.address} " in told.note
    assert first.address not in second.run("grep -rhs . /etc/nginx /etc/moorage/registry").stdout
    assert operator.status(second, user="bob") == 401
    assert operator.status(first, user="bob") == 200  # It keeps running as it was.

    # Its users change more often than those of the server that stayed.
    with operator.open(of(first, users=[ci])) as deployment:
        for name in ("eve", "zoe"):
            read = read_users(deployment)
            ci_there = next(user for user in read.users if user.name == "ci")
            users = edits.add(read.users, replace(ci_there, name=name))
            assert change_users(deployment, plan_change(read, users)).is_good
    operator.passwords["eve"] = operator.passwords["ci"]
    assert operator.status(first, user="eve") == 200

    both = of(*machines, users=[ci])
    outcome = operator.install(both)
    told = {each.code: each for each in outcome.plan.consequences}
    assert told[Code.USERS_DISCARDED].users == ("bob", "eve", "zoe")
    assert told[Code.USERS_REMOVED].users == ("bob", "eve", "zoe")
    assert told[Code.SERVER_JOINS].servers == (first.address,)
    assert not operator.plan(both).has_changes
    assert [operator.status(each, user="eve") for each in machines] == [401, 401]
    assert [operator.status(each, user="bob") for each in machines] == [401, 401]
    assert [operator.status(each) for each in machines] == [200, 200]


def test_a_server_that_fails_stops_the_rollout(
    operator: Operator, servers: Any, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = servers(3)
    operator.install(_three(operator, machines, s3, monkeypatch))
    changed = _three(
        operator,
        machines,
        s3,
        monkeypatch,
        registry={"domain": DOMAIN, "settings": {"log": {"level": "debug"}}},
    )

    def break_nginx(event: Event) -> None:
        if isinstance(event, StepBegan) and event.step == "recheck":
            machines[1].write_file("/etc/nginx/conf.d/broken.conf", "nonsense;\n")

    outcome = operator.apply(changed, on_event=break_nginx)

    statuses = {report.server: report.status for report in outcome.report.servers}
    assert statuses == {
        machines[0].address: "cancelled",
        machines[1].address: "failed",
        machines[2].address: "cancelled",
    }
    assert outcome.report.exit_code is ExitCode.FAILED
    for machine in machines:
        assert operator.status(machine) == 200
        active = machine.run("systemctl is-active moorage-registry@blue").stdout.strip()
        assert active == "active"
    machines[1].run("rm /etc/nginx/conf.d/broken.conf")

    # The check after the switch asks through openssl; there it is made to fail.
    machines[1].write_file("/usr/local/sbin/openssl", "#!/bin/sh\nexit 1\n", mode=0o755)
    with monkeypatch.context() as limits:
        limits.setattr("moorage.deploy.run.payload.CHECK_SECONDS", 8)
        outcome = operator.apply(changed)

    reported = [report.status for report in outcome.report.servers]
    assert reported == ["done", "failed", "cancelled"]
    assert outcome.report.exit_code is ExitCode.PARTLY_DONE
    assert machines[1].address in outcome.report.servers[2].message
    for machine in machines:
        assert operator.status(machine) == 200

    machines[1].run("rm /usr/local/sbin/openssl")
    assert operator.apply(changed).report.is_good
    assert not operator.plan(changed).has_changes


def test_no_server_switches_when_the_disk_of_one_is_full(
    operator: Operator, servers: Any, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = servers(2)
    for folder in FOLDERS:
        machines[1].run(f"mkdir -p {folder} && mount -t tmpfs -o size=4m,mode=755 tmpfs {folder}")
    answers = _three(operator, machines, s3, monkeypatch)
    operator.install(answers)
    registry = {"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    changed = _three(operator, machines, s3, monkeypatch, registry=registry)
    for folder in FOLDERS:
        # The last program before the server is staged.
        machines[1].write_file(
            "/usr/local/sbin/nginx",
            f'#!/bin/sh\n[ "$1" != -t ] || cat /dev/zero >{folder}/.full 2>/dev/null\n'
            'exec /usr/sbin/nginx "$@"\n',
            mode=0o755,
        )

        outcome = operator.apply(changed)

        first, second = outcome.report.servers
        assert (first.status, second.status) == ("cancelled", "failed"), outcome.log
        assert second.step == "staged"
        assert f"no space left on {folder}" in second.message
        machines[1].run(f"rm /usr/local/sbin/nginx {folder}/.full")
        for machine in machines:
            assert operator.status(machine) == 200
    assert not operator.plan(answers).has_changes


def test_a_server_added_later_gets_users_and_keys_of_the_others(
    operator: Operator, servers: Any, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = servers(2)
    operator.install(_three(operator, machines[:1], s3, monkeypatch))
    both = _three(operator, machines, s3, monkeypatch)

    with operator.open(both, limit=[machines[1].address]) as deployment:
        plan = deployment.plan()
        assert [server.server for server in plan.servers] == [machines[1].address]
        assert deployment.apply(plan).is_good

    assert not plan.materials.generated
    environments = {machine.read_file("/etc/moorage/registry/registry.env") for machine in machines}
    assert len(environments) == 1
    assert operator.status(machines[1]) == 200
