"""Delete, collect and restore images of a real registry, while it serves."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from boot_servers import BootServers
from command_line import CommandLine
from image_client import ImageClient, digest_of
from images_at_work import Images, client_of
from operator_at_work import Operator
from patience import slowness

from lab import LabServer
from lab.image import REGISTRY_3_TAG, REGISTRY_TAG
from lab.services import ObjectStore
from moorage.answers.model import Answers
from moorage.errors import MoorageError
from moorage.images.alive import CLOCK_STEP
from moorage.servers.run_results import RunStatus

IS_THOROUGH = bool(os.environ.get("MOORAGE_THOROUGH"))
pytestmark = pytest.mark.ready("python3")


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_delete_collect_and_restore_with_registry_3(
    operator: Operator, server: LabServer, registry_3_image: Path, runtime: str
) -> None:
    chosen = {"runtime": runtime, "image": REGISTRY_3_TAG, "image_archive": str(registry_3_image)}
    _delete_collect_and_restore(operator, server, operator.answers([server], registry=chosen))


def test_delete_collect_and_restore(operator: Operator, server: LabServer) -> None:
    _delete_collect_and_restore(operator, server, operator.answers([server]))


@pytest.mark.skipif(not IS_THOROUGH, reason="builds another image; MOORAGE_THOROUGH=1 runs it")
def test_delete_collect_and_restore_on_debian_11(
    operator: Operator, servers: BootServers, registry_image: Path
) -> None:
    """Python 3.9 and nginx 1.18. The registry's package is too old there."""
    [server] = servers(1, suite="bullseye", variant="bare")
    chosen = {"runtime": "docker", "image": REGISTRY_TAG, "image_archive": str(registry_image)}
    _delete_collect_and_restore(operator, server, operator.answers([server], registry=chosen))


def _delete_collect_and_restore(operator: Operator, server: LabServer, answers: Answers) -> None:
    operator.install(answers, verify=True)
    images, client = Images(operator, answers), client_of(operator, server)
    time.sleep(CLOCK_STEP + 0.5)
    assert client.catalog() == ["moorage-verify"]  # What the checks have left, and nothing else.
    _, change = images.collect()
    assert change.is_good, (change, images.log)
    assert client.catalog() == []

    base, old, new, other = (os.urandom(20_000) for _ in range(4))
    first = client.push("team/app", "v1", [base, old])
    client.push("team/app", "v2", [base, new])
    client.push("team/app", "moved", [other])
    client.push("team/app", "moved", [base])
    child = client.push("team/multi", "", [base, other], source="team/app")
    client.index("team/multi", "latest", [child])
    client.push("moorage-verify", "x", [os.urandom(1000)])
    # Repositories with others below them, and whose names are as odd as they can be.
    gone = ("team", "team/app/a__b.c-d/0---1", "moorage-verify/x")
    for name in gone:
        client.push(name, "latest", [base])
    client.push("busy", "latest", [base])
    assert client.status("POST", "/v2/busy/blobs/uploads/") == 202
    kept = {
        (repository, tag): client.pull(repository, tag)
        for repository, tag in (("team/app", "v2"), ("team/app", "moved"), ("team/multi", "latest"))
    }
    before = client.pull("team/app", "v1")

    deleted = images.delete("team/app:v1", "moorage-verify", *gone)
    assert deleted.is_good, (deleted, images.log)
    busy = images.delete("busy")
    assert busy.ended.code == "images_in_use", (busy, images.log)
    assert client.status("GET", "/v2/team/app/manifests/v1") == 404
    assert client.status("GET", f"/v2/team/app/manifests/{first['digest']}") == 404
    assert client.catalog() == ["busy", "team/app", "team/multi"]

    # What a check of Moorage's leaves.
    checked = client.push("moorage-verify", "y", [os.urandom(1000)])
    assert client.status("DELETE", f"/v2/moorage-verify/manifests/{checked['digest']}") == 202
    assert "moorage-verify" in client.catalog()

    # What was written within the clock's uncertainty counts as young.
    time.sleep(CLOCK_STEP + 0.5)
    plan, change = images.collect(grace=3)
    assert change.is_good, (change, images.log)
    assert change.numbers["bytes"] == plan.collection.freed, images.log
    assert change.numbers["bytes"] > 20_000
    assert client.catalog() == ["busy", "team/app", "team/multi"]
    assert client.status("HEAD", f"/v2/team/app/blobs/{digest_of(old)}") == 404
    for (repository, tag), content in kept.items():
        assert client.pull(repository, tag) == content

    restored = images.restore("team/app:v1")
    assert restored.is_good, (restored, images.log)
    assert client.pull("team/app", "v1") == before
    restored = images.restore("moorage-verify")
    assert restored.is_good, (restored, images.log)
    client.pull("moorage-verify", "x")
    print("\n".join(images.log))


def test_nginx_holds_writes_for_two_seconds_at_most(operator: Operator, server: LabServer) -> None:
    answers = operator.answers([server])
    operator.install(answers)
    client = client_of(operator, server)
    layer = os.urandom(1000)
    client.push("team/app", "v1", [layer])

    def push() -> float:
        began = time.monotonic()
        answer = client.client.request("POST", "/v2/team/app/blobs/uploads/")
        assert answer.status == 202, answer
        return time.monotonic() - began

    def pull() -> float:
        began = time.monotonic()
        client.pull("team/app", "v1")
        return time.monotonic() - began

    # Nothing listens: a killed run must not stop pushes.
    server.run("touch /run/moorage/hold")
    assert push() < 0.5 * slowness()
    # Something listens and never answers.
    server.run(
        "systemd-run --quiet --unit=deaf python3 -c '"
        "import os, socket, time; s = socket.socket(socket.AF_UNIX); "
        's.bind("/run/moorage/release.sock"); os.chmod("/run/moorage/release.sock", 0o666); '
        "s.listen(10); time.sleep(60)'; until [ -S /run/moorage/release.sock ]; do sleep 0.1; done"
    )
    assert 1.5 < push() < 3 * slowness()
    assert pull() < 1 * slowness()
    server.run("rm /run/moorage/hold")
    assert push() < 0.5 * slowness()

    # Content that is about to go: who asks whether it exists has to wait, who pulls has not.
    digest = digest_of(layer)
    folder = "/run/moorage/condemned/team/app"
    server.run(f"mkdir -p {folder} && touch {folder}/_{digest} {folder}/_v1")

    def ask(method: str, path: str) -> float:
        began = time.monotonic()
        assert client.status(method, f"/v2/team/app/{path}") == 200
        return time.monotonic() - began

    for path in (f"blobs/{digest}", "manifests/v1"):
        assert 1.5 < ask("HEAD", path) < 3 * slowness()
        assert ask("GET", path) < 0.5 * slowness()
    server.run("systemctl stop deaf")
    assert ask("HEAD", f"blobs/{digest}") < 0.5 * slowness()


@pytest.mark.parametrize("runtime", ["package", "podman"])
def test_images_in_a_bucket(
    operator: Operator, servers: BootServers, s3: ObjectStore, registry_3_image: Path,
    runtime: str, monkeypatch: pytest.MonkeyPatch, call: CommandLine,
) -> None:  # fmt: skip
    """Two servers of version 2.8, and one of version 3."""
    machines = servers(2 if runtime == "package" else 1)
    monkeypatch.setenv("S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("S3_SECRET_KEY", s3.secret_key)
    storage = {
        "bucket": s3.bucket, "region": s3.region, "regionendpoint": s3.endpoint, "secure": False,
        "accesskey": {"env": "S3_ACCESS_KEY"}, "secretkey": {"env": "S3_SECRET_KEY"},
        "rootdirectory": f"/collect-{runtime}",
    }  # fmt: skip
    registry = {"runtime": runtime, "image": REGISTRY_3_TAG, "image_archive": str(registry_3_image)}
    answers = operator.answers(
        machines, storage={"driver": "s3", "s3": storage},
        registry=registry if runtime == "podman" else {"runtime": runtime},
    )  # fmt: skip
    operator.install(answers)
    images, client = Images(operator, answers), client_of(operator, machines[0])
    base, old, new = (os.urandom(20_000) for _ in range(3))
    # Version 2.8 does not delete a tag that is the beginning of another one.
    client.push("team/app", "1.2", [base, old])
    client.push("team/app", "1.2-x", [base, new])
    child = client.push("team/multi", "", [base, new], source="team/app")
    client.index("team/multi", "latest", [child])
    client.push("team/gone", "x", [os.urandom(1000)])
    kept = {
        (repository, tag): client.pull(repository, tag)
        for repository, tag in (("team/app", "1.2-x"), ("team/multi", "latest"))
    }
    before = client.pull("team/app", "1.2")

    deleted = images.delete("team/app:1.2", "team/gone")
    assert deleted.is_good, (deleted, images.log)
    assert client.status("GET", "/v2/team/app/manifests/1.2") == 404
    assert client.catalog() == ["team/app", "team/multi"]
    time.sleep(CLOCK_STEP + 1)
    plan, change = images.collect()
    assert change.is_good, (change, images.log)
    assert change.numbers["bytes"] == plan.collection.freed > 20_000, images.log
    restored = images.restore("team/app:1.2")
    assert restored.is_good, (restored, images.log)
    assert client.pull("team/app", "1.2") == before

    deleted = images.delete("team/app:1.2")
    assert deleted.is_good, (deleted, images.log)
    time.sleep(CLOCK_STEP + 1)
    if len(machines) > 1:
        _two_at_once(images)
        # Without one of them, nothing is changed.
        machines[1].run("systemctl stop ssh.socket ssh")
        with pytest.raises(MoorageError) as refused:
            images.collect()
        assert refused.value.code == "images_server_missing"
        machines[1].run("systemctl start ssh")
    time.sleep(CLOCK_STEP + 1)
    _, change = images.collect(purges=True)
    assert change.is_good, (change, images.log)
    assert change.numbers["purged"] > 20_000, images.log
    stored = images.read()
    assert digest_of(old) not in stored.tree.blobs
    assert {digest_of(base), digest_of(new)} <= stored.tree.blobs.keys()
    for machine in machines:
        client = client_of(operator, machine)
        assert client.catalog() == ["team/app", "team/multi"]
        assert client.status("HEAD", f"/v2/team/app/blobs/{digest_of(old)}") == 404
        for (repository, tag), content in kept.items():
            assert client.pull(repository, tag) == content
    # What went can be pushed again, and is uploaded again: no cache says that it is there.
    client.push("team/app", "1.2", [base, old])
    assert client.pull("team/app", "1.2") == before
    assert digest_of(old) in images.read().tree.blobs
    if runtime == "package":
        call.write_answers(*machines, storage={"driver": "s3", "s3": storage})
        _killed_anywhere(call, images, client, s3, kept)
    print("\n".join(images.log))


_KILLED = """
import itertools, os, signal, sys
from dataclasses import replace
from moorage.cloud import s3_images
from moorage.deploy.images import run as images_run

requests, last, opened, task_of = itertools.count(1), %d, s3_images.open_client, images_run.task_of

def count(**_):
    number = next(requests)
    if number == last:
        os.kill(os.getpid(), signal.SIGKILL)
    print("request", number, file=sys.stderr)

def open_client(*words, **options):
    client = opened(*words, **options)
    for event in ("before-call.s3", "after-call.s3"):
        client.meta.events.register(event, count)
    return client

s3_images.open_client = open_client
images_run.task_of = lambda *words, **more: replace(task_of(*words, **more), looks=(0.5,))
from moorage.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""The command line, which is killed before or after its n-th request to the store."""


def _killed_anywhere(
    call: CommandLine, images: Images, client: ImageClient, s3: ObjectStore,
    kept: dict[tuple[str, str], dict[str, bytes]],
) -> None:  # fmt: skip
    """Kill an operator's process while it collects; the next one continues, and nothing is lost."""
    call.environment |= {"S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key}
    command = (
        "images", "collect", "moorage.yml", "--yes", "--grace", "0s", "--young", "0s",
        "--untagged-now", "--purge",
    )  # fmt: skip

    def collect(last: int) -> tuple[int, int]:
        """Collect something; returns the exit code and the number of requests."""
        old = os.urandom(20_000)
        client.push("team/app", "old", [old])
        client.push("team/app", "old", [os.urandom(1000)])
        time.sleep(CLOCK_STEP + 1)
        call.program = _KILLED % last
        end = time.monotonic() + 180
        while True:
            outcome = call(*command)
            if "locked" not in outcome.stdout or time.monotonic() > end:
                break
            time.sleep(2)
        if last < 0:
            assert outcome.code == 0, outcome
            assert digest_of(old) not in images.read().tree.blobs
        for (repository, tag), content in kept.items():
            assert client.pull(repository, tag) == content
        return outcome.code, outcome.stderr.count("request ")

    _, requests = collect(-1)
    samples = 10 if IS_THOROUGH else 1
    for number in range(1, samples + 1):
        code, _ = collect(requests * number // (samples + 1))
        assert code == -9
        collect(-1)


def _two_at_once(images: Images) -> None:
    """Collect from two operators' machines: one waits for nothing, and says why."""
    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(images.collect, looks=(3.0,)) for _ in range(2)]
        changes = [each.result()[1] for each in others]
    assert any(each.is_good for each in changes), (changes, images.log)
    for each in changes:
        assert each.is_good or each.ended.status is RunStatus.LOCKED, (changes, images.log)
