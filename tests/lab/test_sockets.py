"""The registry's slots listen on sockets that nobody but nginx reaches; older servers get there."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator
from tcp_slots import listen_on_ports
from thorough import THOROUGH
from traffic import Traffic, push_blob
from waiting import wait_until

from bench.slow_pulls import SlowPulls
from bench.slow_pulls import push_blob as push_layer
from lab import LabServer
from lab.image import REGISTRY_3_TAG, REGISTRY_TAG
from lab.machine import say
from moorage.answers.model import Answers
from moorage.deploy.events import Event, StepBegan

pytestmark = pytest.mark.ready
DOCKER = pytest.param("docker", REGISTRY_TAG, marks=pytest.mark.ready("docker.io"))

LARGE = 24 * 1024**2
SLOWLY = 100_000
AT_ONCE = 1e12
GREEN = "systemctl is-active moorage-registry@green"
ON_PORTS = "ss -Hltn '( sport = :5101 or sport = :5102 )'"

# Tries everything an account without rights can: every port, every socket, every file.
LOOK_AROUND = r"""
import glob, os, socket, stat, subprocess, sys
found = []
def ask(connection, where):
    for path in ("/v2/_catalog", "/metrics", "/debug/pprof/", "/debug/vars", "/debug/health"):
        try:
            with connection() as open_socket:
                open_socket.settimeout(2)
                open_socket.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                answer = open_socket.makefile("rb").read(4096)
        except OSError:
            return
        if answer.split(b" ")[1:2] == [b"200"]:
            found.append(f"{where} answers {path}")
def tcp(port):
    return socket.create_connection(("127.0.0.1", port), 1)
def unix(path):
    opened = socket.socket(socket.AF_UNIX)
    opened.settimeout(2)
    opened.connect(path)
    return opened
for line in subprocess.run(["ss", "-Hltn"], capture_output=True, text=True).stdout.splitlines():
    port = int(line.split()[3].rpartition(":")[2])
    ask(lambda: tcp(port), f"port {port}")
sockets = {line.split()[-1] for line in open("/proc/net/unix") if "/" in line}
for path in sorted(sockets | {"/run/moorage-registry/blue/registry.sock",
                              "/run/moorage-registry/green/registry.sock"}):
    ask(lambda: unix(path), path)
secrets = [word.encode() for word in sys.argv[1:]]
for top in ("/etc", "/run", "/var", "/tmp", "/srv", "/opt"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    content = open(path, "rb").read(1 << 22)
                    found += [f"{path} has {word!r}" for word in secrets if word in content]
            except OSError:
                pass
print("\n".join(found))
"""

# Listens on everything it can for as long as it lives, and notes who comes.
GRAB = r"""
import os, selectors, socket, sys, time
selector = selectors.DefaultSelector()
held = set()
def hold(key, family, address):
    if key in held:
        return
    try:
        grabbed = socket.socket(family)
        grabbed.bind(address)
        grabbed.listen(16)
    except OSError:
        return
    held.add(key)
    selector.register(grabbed, selectors.EVENT_READ)
end = time.monotonic() + 600
while time.monotonic() < end:
    for port in (5101, 5102, 5111, 5112):
        hold(port, socket.AF_INET, ("127.0.0.1", port))
    for slot in ("blue", "green"):
        for path in (f"/run/moorage-registry/{slot}/registry.sock", f"/run/moorage/{slot}.sock",
                     f"/tmp/{slot}.sock"):
            hold(path, socket.AF_UNIX, path)
    open("/tmp/grabbing", "w").close()
    for key, _ in selector.select(0.01):
        connection, _ = key.fileobj.accept()
        connection.settimeout(5)
        data = connection.recv(4096)
        if data:
            open("/tmp/received", "ab").write(data)
        connection.close()
"""


def _as_nobody(code: str, *words: str) -> list[str]:
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            "python3", "-c", code, *words]  # fmt: skip


def _answers(operator: Operator, server: LabServer, **registry: Any) -> Answers:
    users = [{"name": "vera.quist", "access": "pull", "password": {"generate": True}},
             {"name": "ci", "password": {"generate": True}}]  # fmt: skip
    registry = {"domain": DOMAIN, **registry}
    return operator.answers([server], registry=registry, credentials={"users": users})


def test_an_unprivileged_account_reads_nothing_and_receives_no_request(
    operator: Operator, server: LabServer
) -> None:
    server.run(["systemd-run", "--quiet", "--unit=grab", "--uid=65534", "--gid=65534",
                "python3", "-c", GRAB])  # fmt: skip
    server.run("until [ -e /tmp/grabbing ]; do sleep 0.1; done")
    operator.install(_answers(operator, server))
    client = operator.client(server)
    blob = b"harbour-bell-0815 " * 100
    digest = push_blob(client, "private/app", blob)
    operator.install(_answers(operator, server, settings={"log": {"level": "debug"}}))

    server.run("systemctl stop grab")
    assert server.run("cat /tmp/received 2>/dev/null; true").stdout == ""
    found = server.run(
        _as_nobody(LOOK_AROUND, "vera.quist", "harbour-bell-0815", digest[7:])
    ).stdout

    assert found.strip() == ""


@pytest.mark.parametrize(("runtime", "image"), [("package", ""), DOCKER])
def test_a_killed_registry_serves_again_and_root_follows_no_link(
    runtime: str,
    image: str,
    operator: Operator,
    server: LabServer,
    request: pytest.FixtureRequest,
) -> None:
    operator.install(_answers(operator, server, **_registry(runtime, image, request)))
    client = operator.client(server)
    slot_socket = "/run/moorage-registry/blue/registry.sock"
    kill = "docker kill -s KILL moorage-registry-blue"
    if runtime == "package":
        kill = "systemctl kill -s KILL moorage-registry@blue"

    def comes_back() -> bool:
        main = "systemctl show -p MainPID --value moorage-registry@blue"
        server.run(f"before=$({main}); {kill}; until [ $({main}) != 0 ] && "
                   f"[ $({main}) != $before ]; do sleep 0.2; done")  # fmt: skip
        end = time.monotonic() + 60
        while (status := client.request("GET", "/v2/").status) == 503 and time.monotonic() < end:
            time.sleep(0.2)
        return status == 200

    assert comes_back()
    of_root = "import socket; socket.socket(socket.AF_UNIX).bind('/run/of-root.sock')"
    server.run(["python3", "-c", of_root])
    server.run("chmod 0600 /run/of-root.sock")
    server.run(["setpriv", "--reuid=moorage", "--regid=moorage", "--clear-groups",
                "ln", "-sfT", "/run/of-root.sock", slot_socket])  # fmt: skip
    assert comes_back()
    assert server.run("stat -c '%U %G %a' /run/of-root.sock").stdout == "root root 600\n"
    assert server.run(f"stat -c '%U %G %a' {slot_socket}").stdout == "moorage www-data 660\n"


def _registry(runtime: str, image: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if runtime == "package":
        return {}
    fixture = {REGISTRY_TAG: "registry_image", REGISTRY_3_TAG: "registry_3_image"}[image]
    archive = request.getfixturevalue(fixture)
    return {"runtime": runtime, "image": image, "image_archive": str(archive)}


@pytest.mark.parametrize(
    ("runtime", "image"),
    [
        ("package", ""),
        pytest.param(*DOCKER.values, marks=[*DOCKER.marks, THOROUGH]),
        pytest.param("docker", REGISTRY_3_TAG, marks=pytest.mark.ready("docker.io")),
        pytest.param("podman", REGISTRY_TAG, marks=pytest.mark.ready("podman")),
    ],
)
def test_a_server_on_ports_is_converted_under_load(
    runtime: str,
    image: str,
    operator: Operator,
    server: LabServer,
    request: pytest.FixtureRequest,
) -> None:
    answers = _answers(operator, server, **_registry(runtime, image, request))
    operator.install(answers)
    listen_on_ports(server)
    assert server.run(ON_PORTS).stdout
    client = operator.client(server)
    digest = push_blob(client, "team/kept", b"kept" * 1000)
    large = push_layer(client, LARGE)

    # What is sent slowly from the port goes on while the socket serves.
    with SlowPulls(client, large, 1, SLOWLY) as slow:
        wait_until(lambda: slow.received[0] > 0)
        with Traffic([client] * 4) as traffic:
            outcome = operator.install(answers)
        assert slow.digests == slow.failures == []
        slow.rate = AT_ONCE
        wait_until(lambda: bool(slow.digests or slow.failures))
        assert (slow.digests, slow.failures) == ([large.rpartition(":")[2]], [])
    wait_until(lambda: not server.run(ON_PORTS).stdout)

    say(f"{runtime}: {traffic.count} pushes and pulls while converting")
    assert traffic.count > 4
    assert traffic.failures == []
    [plan] = outcome.plan.servers
    assert (plan.slot_from, plan.slot_to) == ("blue", "green")
    assert client.request("GET", f"/v2/team/kept/blobs/{digest}").status == 200
    assert not operator.plan(answers).has_changes


def _at_step(step: str, act: Callable[[], Any]) -> Callable[[Event], None]:
    def take(event: Event) -> None:
        if isinstance(event, StepBegan) and event.step == step:
            act()

    return take


def test_a_conversion_that_fails_or_is_interrupted_leaves_a_working_registry(
    operator: Operator, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.deploy.run.payload.RETIRE_SECONDS", 1)
    answers = _answers(operator, server)
    operator.install(answers)
    listen_on_ports(server)
    client = operator.client(server)
    digest = push_blob(client, "team/kept", b"kept" * 1000)

    def serves() -> bool:
        return client.request("GET", f"/v2/team/kept/blobs/{digest}").status == 200

    # It fails: back to the ports, and what either slot has begun to send is sent.
    large = push_layer(client, LARGE)
    server.write_file("/usr/local/sbin/openssl", "#!/bin/sh\nsleep 4\nexit 1\n", mode=0o755)
    before, after = (SlowPulls(client, large, 1, SLOWLY) for _ in range(2))
    with before, ExitStack() as later:
        wait_until(lambda: before.received[0] > 0)
        at_check = _at_step("check", lambda: later.enter_context(after))
        with monkeypatch.context() as limits:
            limits.setattr("moorage.deploy.run.payload.CHECK_SECONDS", 3)
            assert operator.apply(answers, on_event=at_check).report.servers[0].status == "failed"
        for pull in (before, after):
            assert pull.digests == []
            pull.rate = AT_ONCE
            wait_until(lambda pull=pull: bool(pull.digests or pull.failures))
            assert (pull.digests, pull.failures) == ([large.rpartition(":")[2]], [])
    server.run("rm /usr/local/sbin/openssl")
    assert serves()
    wait_until(lambda: server.run(GREEN, check=False).stdout == "inactive\n")
    assert server.run(ON_PORTS).stdout
    assert "127.0.0.1:5101" in server.read_file("/etc/nginx/moorage/upstream.conf")

    # The plug is pulled: with the shared unit already in place, and after the switch.
    for step, program in (("nginx-files", "nginx"), ("check", "openssl")):
        real = server.run(["sh", "-c", f"command -v {program}"]).stdout.strip()
        in_run = "grep -q moorage-run- /proc/self/cgroup"
        shim = f'#!/bin/sh\nif {in_run}; then sync; sleep 20; fi\nexec {real} "$@"\n'
        server.write_file(f"/usr/local/sbin/{program}", shim, mode=0o755)
        operator.apply(answers, on_event=_at_step(step, server.crash))
        server.start()
        server.wait_until_up()
        server.run(f"rm /usr/local/sbin/{program}")
        server.run("until systemctl is-active -q nginx; do sleep 0.2; done")
        server.run(
            "until ss -Hltn '( sport = :5101 )' | grep -q . || "
            "[ -S /run/moorage-registry/green/registry.sock ]; do sleep 0.2; done"
        )
        assert serves()
    operator.install(answers)
    assert serves()
    assert server.run(ON_PORTS).stdout == ""
    assert not operator.plan(answers).has_changes
