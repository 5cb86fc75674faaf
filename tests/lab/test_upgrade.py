"""Upgrades of the registry's program, while clients push and pull."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import PASSWORD, CommandLine
from fault_injection import Breakpoint, leftovers, wait_at_steps
from operator_at_work import DOMAIN, Operator
from registry_package import (
    digest_of,
    forget_other_packages,
    offer_empty_package,
    offer_package,
)
from test_kept_programs import running
from test_several_servers import s3_storage
from thorough import IS_THOROUGH
from traffic import Traffic, push_blob
from waiting import wait_until

from lab import LabServer
from lab.image import REGISTRY_3_TAG, REGISTRY_TAG
from lab.machine import say
from lab.services import ObjectStore
from moorage.answers.amend import amend
from moorage.answers.load import loads
from moorage.answers.model import Answers
from moorage.deploy.events import Event, LogLine
from moorage.deploy.lifecycle.upgrade import Wish, plan_upgrade
from moorage.deploy.plan.consequences import accepting
from moorage.deploy.status.status import read_status
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.errors import MoorageError

pytestmark = pytest.mark.ready
CLIENTS = 4
PIN = "Package: docker-registry\nPin: version 2.8.90-1\nPin-Priority: 50\n"
ANSWERS = """\
# Our registry
version: 1
registry:
  domain: {domain}
  runtime: {runtime}
  # Chosen by Ana
  image: {image}   # the official one
  image_archive: {archive}
servers:
  - host: {host}
    user: root
    key: {key}
credentials:
  users:
    - name: ci
      access: push
      password: {{env: CI_PW}}
"""


def push_image(client: RegistryClient, repository: str, tag: str) -> str:
    """Push a small image and return its manifest's digest."""
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "of": f"{repository}:{tag}"}
    ).encode()
    layer = f"layer of {repository}:{tag}".encode() * 100
    kind = "application/vnd.oci.image"
    parts = [
        {
            "mediaType": f"{kind}.config.v1+json",
            "digest": push_blob(client, repository, config),
            "size": len(config),
        },
        {
            "mediaType": f"{kind}.layer.v1.tar",
            "digest": push_blob(client, repository, layer),
            "size": len(layer),
        },
    ]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": parts[0],
            "layers": parts[1:],
        }
    ).encode()
    answer = client.request(
        "PUT",
        f"/v2/{repository}/manifests/{tag}",
        body=manifest,
        headers={"Content-Type": f"{kind}.manifest.v1+json"},
    )
    assert answer.status == 201, answer
    return answer.header("Docker-Content-Digest") or ""


def pulls(client: RegistryClient, repository: str, reference: str) -> bool:
    """Whether the manifest of an image can be pulled."""
    kind = "application/vnd.oci.image.manifest.v1+json"
    path = f"/v2/{repository}/manifests/{reference}"
    return client.request("GET", path, headers={"Accept": kind}).status == 200


def installed(server: LabServer, package: str = "docker-registry") -> str:
    """Return a package's version."""
    return server.run(f"dpkg-query -W -f '${{Version}}' {package}").stdout


@pytest.mark.deployed(by_command=True)
def test_the_package_is_upgraded_and_nothing_else(call: CommandLine, server: LabServer) -> None:
    client = call.operator.client(server, PASSWORD)
    digest = push_image(client, "team/app", "1")
    before, program = installed(server), running(server)
    forget_other_packages(server)
    offer_package(server, before, "same")

    # As new as it gets, and what is not there.
    none = call("upgrade", "moorage.yml", "--yes")
    assert (none.code, none.stdout) == (0, "Nothing to upgrade.\n"), none.stderr
    unknown = call("upgrade", "moorage.yml", "--yes", "--to-version", "2.8.3")
    assert unknown.code == 1
    assert f"Available: {before}." in unknown.stderr, unknown.stderr

    offer_package(server, "2.8.90-1")
    server.write_file("/etc/apt/preferences.d/newer", PIN)
    offer_empty_package(server, "openssl", "99-1")
    packages = server.run("dpkg-query -W").stdout
    assert call("upgrade", "moorage.yml", "--yes").stdout == "Nothing to upgrade.\n"
    with Traffic([client] * CLIENTS) as traffic:
        done = call(
            "upgrade",
            "moorage.yml",
            "--yes",
            "--to-version",
            "2.8.90",
            "--json",
            "--skip-large-upload",
        )
    assert done.code == 0, done.stdout + done.stderr
    say(f"{traffic.count} pushes and pulls during an upgrade, {len(traffic.failures)} failed")
    assert traffic.count > CLIENTS
    assert traffic.failures == []
    after = installed(server)
    assert done.result["upgrades"] == [
        {
            "server": server.address,
            "from": f"docker-registry {before}",
            "to": f"docker-registry {after}",
        }
    ]
    assert "has read " in done.stdout
    assert after == "2.8.90-1"
    changed = set(server.run("dpkg-query -W").stdout.splitlines()) - set(packages.splitlines())
    assert changed == {f"docker-registry\t{after}"}
    assert running(server) != program
    assert pulls(client, "team/app", digest)
    assert (
        call("upgrade", "moorage.yml", "--yes", "--to-version", "2.8.90").stdout
        == "Nothing to upgrade.\n"
    )
    assert call("plan", "moorage.yml", "--detailed-exitcode").code == 0

    # The proven program also serves after a reboot, and an apply keeps it.
    new = running(server)
    server.crash()
    server.start()
    wait_until(lambda: call.operator.status(server, password=PASSWORD) == 200)
    assert running(server) == new
    # And back.
    back = call("upgrade", "moorage.yml", "--yes", "--to-version", before, "--no-verify")
    assert back.stdout.splitlines()[-1] == f"Upgraded to docker-registry {before}."
    assert back.code == 0, back.stdout + back.stderr
    assert (installed(server), running(server)) == (before, program)
    if release := os.environ.get("MOORAGE_TEST_REGISTRY_3"):
        _upgrade_to_version_3(call, server, Path(release))


def _upgrade_to_version_3(call: CommandLine, server: LabServer, release: Path) -> None:
    """A package of version 3 gets its configuration, and 2.8 gets its own again."""
    file = call.home / "moorage.yml"
    before, version = running(server), installed(server)
    text = file.read_text()
    registry = loads(text).registry.model_copy(update={"version": "3.1"})
    other = amend(text, loads(text).model_copy(update={"registry": registry}))
    (call.home / "three.yml").write_text(other)
    promised = call("plan", "three.yml", "--json")
    assert promised.code == 1, promised.stdout
    [problem] = json.loads(promised.stdout)["servers"][0]["problems"]
    assert (problem["code"], problem["fields"]) == ("version_differs", ["registry.version"])
    shutil.copy(release, server.root / "srv/real")
    offer_package(server, "3.1.1-1", "same")
    done = call("upgrade", "moorage.yml", "--yes", "--to-version", "3.1.1", "--no-verify")
    assert done.code == 0, done.stdout + done.stderr
    assert loads(file.read_text()).registry.version == "3.1"
    assert running(server) != before
    assert call("plan", "moorage.yml", "--detailed-exitcode").code == 0
    done = call("upgrade", "moorage.yml", "--yes", "--to-version", version, "--no-verify")
    assert done.code == 0, done.stdout + done.stderr
    assert loads(file.read_text()).registry.version == "2.8"
    assert (installed(server), running(server)) == (version, before)


@pytest.mark.deployed(by_command=True)
def test_a_program_that_cannot_read_the_images_gets_no_request(
    call: CommandLine, server: LabServer
) -> None:
    client = call.operator.client(server, PASSWORD)
    forget_other_packages(server)
    # Without any image there is nothing to prove, and the run says so.
    offer_package(server, "2.8.90-1")
    first = call("upgrade", "moorage.yml", "--yes", "--no-verify", "--json")
    assert first.code == 0, first.stdout + first.stderr
    assert "there are no images yet" in first.stdout
    program = running(server)
    assert program.endswith(digest_of(server, "2.8.90-1"))

    digest = push_image(client, "team/app", "1")
    # A damaged image that the active slot cannot read either is no reason against an upgrade.
    push_image(client, "team/broken", "1")
    broken = "/var/lib/moorage/registry/docker/registry/v2/repositories/team/broken"
    server.run(f"rm -r {broken}/_manifests/revisions")
    offer_package(server, "2.8.91-1", "blind")
    with Traffic([client] * CLIENTS) as traffic:
        refused = call("upgrade", "moorage.yml", "--yes", "--json")
    say(f"{traffic.count} pushes and pulls, {len(traffic.failures)} failed, before the rollback")
    assert traffic.failures == []
    assert refused.code == 1, refused.stdout
    [failed] = refused.result["servers"]
    assert (failed["status"], failed["code"]) == ("failed", "images_not_readable")
    assert "does not read team/app:1 as it is stored" in failed["message"]
    assert f"status 404, expected {digest}" in failed["message"]
    assert running(server) == program
    # It stays installed, which the plan notes; it does not stay in the way of the next one.
    note = "2.8.91-1 is installed; the registry still runs 2.8.90-1"
    assert note in call("plan", "moorage.yml").stdout
    offer_package(server, "2.8.92-1")
    done = call("upgrade", "moorage.yml", "--yes", "--no-verify", "--json")
    assert done.code == 0, done.stdout + done.stderr
    assert "cannot be read by the active slot either" in done.stdout
    assert running(server).endswith(digest_of(server, "2.8.92-1"))
    assert program.rpartition("/")[2] in server.run("ls /usr/local/lib/moorage/programs").stdout


def test_servers_that_share_a_bucket_are_upgraded_together_or_not_at_all(
    operator: Operator, servers: Any, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = servers(2)
    answers = operator.answers(machines, storage=s3_storage(s3, monkeypatch))
    operator.install(answers)
    clients = [operator.client(each) for each in machines]
    digest = push_image(clients[0], "team/app", "1")
    before = [running(each) for each in machines]
    for number, machine in enumerate(machines):
        forget_other_packages(machine)
        offer_package(machine, "2.8.90-1", "blind" if number == 1 else "good")

    with operator.open(answers) as deployment:
        plan = plan_upgrade(deployment, deployment.probe(), Wish())
        reports = deployment.apply(plan, accepting(plan.consequences)).servers
    assert [each.status for each in reports] == ["cancelled", "failed"], reports
    assert reports[1].code == "images_not_readable"
    assert "team/app:1" in reports[1].message
    assert [running(each) for each in machines] == before

    for machine in machines:
        offer_package(machine, "2.8.91-1")
    # One first, then the others: an apply in between changes no version.
    events: list[Event] = []
    label = machines[0].address
    with Traffic(clients * 2) as traffic:
        with operator.open(answers, events.append, limit=[label]) as deployment:
            plan = plan_upgrade(deployment, deployment.probe(), Wish())
            reports = deployment.apply(plan, accepting(plan.consequences)).servers
        assert [each.status for each in reports] == ["done"], reports
        [others] = [row.text for row in plan.expectations if row.key == "others"]
        assert others == machines[1].address
        assert running(machines[0]) != running(machines[1]) == before[1]
        with operator.open(answers) as deployment:
            status = read_status(deployment, with_plan=True)
            assert not status.has_changes
            assert [*status.versions.values()] == [(each.address,) for each in machines]
            plan = plan_upgrade(deployment, deployment.probe(), Wish())
            reports = deployment.apply(plan, accepting(plan.consequences)).servers
    assert [each.status for each in reports] == ["unchanged", "done"], reports
    assert traffic.failures == []
    log = [each.text for each in events if isinstance(each, LogLine)]
    assert [line for line in log if line.startswith("the new program has read ")], log
    for machine, client in zip(machines, clients, strict=True):
        assert running(machine).endswith(digest_of(machine, "2.8.91-1"))
        assert pulls(client, "team/app", digest)
    assert not operator.plan(answers).has_changes


RELEASES = {REGISTRY_TAG: "registry_image", REGISTRY_3_TAG: "registry_3_image"}


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("docker", marks=pytest.mark.ready("docker.io")),
        pytest.param("podman", marks=pytest.mark.ready("podman")),
    ],
)
def test_images_are_upgraded_and_back_under_load(
    runtime: str,
    call: CommandLine,
    server: LabServer,
    request: pytest.FixtureRequest,
) -> None:
    archives = {tag: f"{name}.tar" for tag, name in RELEASES.items()}
    for tag, name in RELEASES.items():
        (call.home / archives[tag]).symlink_to(request.getfixturevalue(name))
    text = ANSWERS.format(
        domain=DOMAIN, runtime=runtime, image=REGISTRY_TAG, archive=archives[REGISTRY_TAG],
        host=server.address, key=server.key,
    )  # fmt: skip
    (call.home / "moorage.yml").write_text(text)
    call.add_known_hosts(server)
    applied = call("apply", "moorage.yml", "--yes", "--no-verify")
    assert applied.code == 0, applied.stdout + applied.stderr
    client = call.operator.client(server, PASSWORD)
    digest = push_image(client, "team/app", "1")
    text = (call.home / "moorage.yml").read_text()

    # As "docker save" names it.
    saved = REGISTRY_3_TAG.removeprefix("docker.io/library/")
    archives[REGISTRY_3_TAG] = _renamed(call.home / archives[REGISTRY_3_TAG], saved)
    other = ("--image", "registry:3.0.0", "--image-archive", archives[REGISTRY_3_TAG])
    refused = call("upgrade", "moorage.yml", "--yes", *other)
    assert refused.code == 1, refused.stdout + refused.stderr
    assert f"holds {saved}, not registry:3.0.0" in refused.stderr
    assert len(server.run("ls /var/lib/moorage/runs").stdout.split()) == 1

    for number, tag in enumerate((REGISTRY_3_TAG, REGISTRY_TAG), start=2):
        image = ("--image", tag, "--image-archive", archives[tag])
        with Traffic([client] * CLIENTS) as traffic:
            done = call("upgrade", "moorage.yml", "--yes", "--json", "--skip-large-upload", *image)
        say(f"{runtime} to {tag}: {traffic.count} pushes and pulls, {len(traffic.failures)} failed")
        assert done.code == 0, done.stdout + done.stderr
        assert traffic.count > CLIENTS
        assert traffic.failures == []
        assert "has read " in done.stdout
        assert pulls(client, "team/app", digest)
        written = (call.home / "moorage.yml").read_text()
        [old] = {REGISTRY_TAG, REGISTRY_3_TAG} - {tag}
        expected = text.replace(old, tag).replace(archives[old], archives[tag])
        assert written == expected.replace(f"based_on: {number - 1}", f"based_on: {number}")
        text = written
        assert call("plan", "moorage.yml", "--detailed-exitcode").code == 0
    names = server.run([runtime, "images", "--format", "{{.Repository}}"]).stdout
    assert "localhost/registry" not in names.splitlines()
    # A tag that somebody moves changes nothing; the plan says so.
    server.run([runtime, "tag", REGISTRY_3_TAG, REGISTRY_TAG])
    planned = call("plan", "moorage.yml", "--detailed-exitcode")
    assert planned.code == 0
    assert "now refers to another image; the registry still runs the old one" in planned.stdout
    # What slots and kept deployments name is held, whatever is pruned.
    held = server.run([runtime, "images", "-q", "localhost/moorage-registry"]).stdout.split()
    assert len(held) == 2
    server.run([runtime, "image", "prune", "-af"])
    server.crash()
    server.start()
    wait_until(lambda: pulls(client, "team/app", digest))


def _renamed(archive: Path, name: str) -> str:
    """Copy an image archive, and rename its image; return the name of the copy."""
    target = archive.with_name("renamed.tar")
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            data = content.read() if content is not None else b""
            if member.name == "manifest.json":
                data = json.dumps(
                    [each | {"RepoTags": [name]} for each in json.loads(data)]
                ).encode()
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return target.name


STEPS = (
    "recheck", "back-up", "packages", "version", "registry", "prove", "nginx-files", "staged",
    "switch", "check", "record", "drain",
)  # fmt: skip
FAULTS = (
    [(step, fault) for step in STEPS for fault in ("kill -9", "crash", "reboot")]
    if IS_THOROUGH
    else [("registry", "reboot"), ("prove", "kill -9"), ("switch", "crash")]
)  # fmt: skip


@pytest.mark.deployed
def test_whatever_ends_an_upgrade_serves_one_whole_program(
    operator: Operator, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_at_steps(monkeypatch)
    answers = operator.answers([server])
    client = operator.client(server)
    digest = push_image(client, "team/app", "1")
    forget_other_packages(server)
    offer_package(server, "2.8.100-1")
    assert _upgrade(operator, answers) == "done"
    wrong = []
    for number, (step, fault) in enumerate(FAULTS, start=101):
        offer_package(server, f"2.8.{number}-1")
        old, new = (digest_of(server, f"2.8.{each}-1") for each in (number - 1, number))
        acts = {
            "kill -9": Breakpoint.kill_run,
            "crash": lambda point: server.crash(),
            "reboot": lambda point: server.run("systemctl --no-block poweroff"),
        }
        with Breakpoint(server, step, acts[fault]) as point:
            ended = _upgrade(operator, answers)
        if fault != "kill -9":
            wait_until(lambda: not server.is_on())
            server.start()
        wait_until(lambda: _is_pulled(client, digest))
        serves = _serving(server)
        _upgrade(operator, answers)
        say(f"{step} {fault}: {ended}, then {'new' if serves == new else 'old'}")
        if not point.was_hit:
            wrong.append(f"{step} {fault}: no such step")
        if serves not in {old, new}:
            wrong.append(f"{step} {fault}: another program serves")
        if _serving(server) != new or operator.plan(answers).has_changes:
            wrong.append(f"{step} {fault}: the next upgrade does not complete")
        if left := leftovers(server):
            wrong.append(f"{step} {fault}: {left}")
    # And as if dpkg had been killed.
    offer_package(server, "2.8.200-1")
    status = "/^Package: docker-registry$/,/^$/s/^Status: .*/Status: install ok half-configured/"
    server.run(f"sed -i '{status}' /var/lib/dpkg/status && touch /var/lib/dpkg/updates/0001")
    assert _upgrade(operator, answers) == "done"
    assert _serving(server) == digest_of(server, "2.8.200-1")
    assert not wrong, "\n".join(wrong)


def _upgrade(operator: Operator, answers: Answers) -> str:
    """Upgrade to the newest version; return how it ended."""
    with operator.open(answers) as deployment:
        try:
            plan = plan_upgrade(deployment, deployment.probe(), Wish())
            if not plan.has_changes:
                return "nothing to upgrade"
            [report] = deployment.apply(plan, accepting(plan.consequences)).servers
        except MoorageError as error:
            return error.message
    return report.status


def _is_pulled(client: RegistryClient, digest: str) -> bool:
    with suppress(MoorageError):
        return pulls(client, "team/app", digest)
    return False


def _serving(server: LabServer) -> str:
    """Return the digest of the program in the slot that nginx uses, by its running process."""
    script = (
        "slot=$(grep -o 'blue\\|green' /etc/nginx/moorage/upstream.conf | head -n 1); "
        "sha256sum </proc/$(systemctl show -p MainPID --value moorage-registry@$slot)/exe"
    )
    return server.run(script).stdout.split()[0]
