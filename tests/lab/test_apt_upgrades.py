"""Updates by apt while clients push and pull: only a restart of nginx fails requests."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import TracebackType

import pytest
from operator_at_work import Operator
from patience import slowness
from registry_package import offer_package
from thorough import IS_THOROUGH
from traffic import PAUSE
from waiting import wait_until

from lab import LabServer
from lab.machine import say
from moorage.deploy.status.rows import status_rows
from moorage.deploy.status.status import read_status
from moorage.deploy.verify.registry_client import Answer, RegistryClient
from moorage.errors import MoorageError

WEB_SERVER = "nginx nginx-common libnginx-mod-http-js"
APT = "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y"
UPDATES = [("unattended-upgrades", "unattended-upgrade")] + IS_THOROUGH * [
    ("docker-registry again", f"{APT} --reinstall docker-registry"),
    ("reconfigure", "dpkg-reconfigure -f noninteractive docker-registry"),
]
EXPECTED_OF_A_RESTART = ("refuses connections", "closed the connection", "then closes it")


class Load:
    """Four clients that push and pull small blobs, and a fifth that takes seconds to send one.

    Unlike Docker, they never repeat a request.

    Attributes:
        failures: The reasons of failed requests.
        answered: When requests succeeded.
    """

    def __init__(self, client: RegistryClient) -> None:
        self.failures: list[str] = []
        self.answered: list[float] = []
        self._client = client
        self._has_ended = threading.Event()
        work = [self._push_and_pull] * 4 + [self._push_slowly]
        self._threads = [
            threading.Thread(target=self._repeat, args=(each, number), daemon=True)
            for number, each in enumerate(work)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._has_ended.set()
        for thread in self._threads:
            thread.join()

    def during(self, work: Callable[[], object]) -> tuple[Counter[str], float]:
        """Return the failures during some work, and the longest time without any success."""
        failures, answers = len(self.failures), len(self.answered)
        work()
        time.sleep(1)
        answered = sorted(self.answered[max(answers - 1, 0) :])
        gaps = [later - earlier for earlier, later in pairwise(answered)]
        return Counter(self.failures[failures:]), max(gaps)

    def _repeat(self, work: Callable[[str], None], number: int) -> None:
        while not self._has_ended.is_set():
            try:
                work(f"load/client{number}")
            except (MoorageError, AssertionError) as error:
                self.failures.append(str(error))
                time.sleep(0.05)

    def _push_and_pull(self, repository: str) -> None:
        blob = os.urandom(50_000)
        digest = "sha256:" + hashlib.sha256(blob).hexdigest()
        location = self._begin(repository)
        self._expect(201, self._client.put_blob(location, blob, digest))
        self._expect(200, self._client.request("GET", f"/v2/{repository}/blobs/{digest}"))
        self._has_ended.wait(PAUSE)

    def _push_slowly(self, repository: str) -> None:
        def trickle() -> Iterator[bytes]:
            for _ in range(32):
                yield bytes(4096)
                time.sleep(0.25)

        sent = {"Content-Length": str(32 * 4096), "Content-Type": "application/octet-stream"}
        location = self._begin(repository)
        self._expect(202, self._client.request("PATCH", location, body=trickle(), headers=sent))

    def _begin(self, repository: str) -> str:
        begun = self._client.request("POST", f"/v2/{repository}/blobs/uploads/")
        self._expect(202, begun)
        return begun.header("Location") or ""

    def _expect(self, status: int, answer: Answer) -> None:
        assert answer.status == status, f"{answer.status} {answer.excerpt[:80]}"
        self.answered.append(time.monotonic())


def _state(server: LabServer) -> tuple[str, str]:
    """Return the running slot's process and the program it runs."""
    pid = server.run("systemctl show -p MainPID --value moorage-registry@blue").stdout.strip()
    return pid, server.run(f"sha256sum </proc/{pid}/exe").stdout.split()[0]


def _offer_as_security_update(server: LabServer, version: str) -> None:
    """Offer a docker-registry that unattended-upgrades takes with its default settings."""
    offer_package(server, version)
    server.run(
        "cd /srv/packages && { printf '%s\\n' 'Origin: Debian' 'Label: Debian-Security' "
        "'Suite: stable-security' 'Codename: bookworm-security' "
        "\"Date: $(date -Ru)\" 'SHA256:'; "
        "printf ' %s %s Packages\\n' $(sha256sum <Packages | cut -d' ' -f1) "
        "$(stat -c %s Packages); } >Release && ln -s packages /srv/invented-security && "
        "ln -s /srv/packages/docker-registry_*.deb /srv && "
        "echo 'deb [trusted=yes] file:/srv invented-security/' "
        ">/etc/apt/sources.list.d/invented.list && apt-get update -qq"
    )


@pytest.mark.ready("needrestart", "unattended-upgrades")
def test_updates_by_apt_fail_no_request(operator: Operator, server: LabServer) -> None:
    answers = operator.answers([server])
    operator.install(answers)
    client = operator.client(server)
    slot = _state(server)
    config = server.run("sha256sum /etc/docker/registry/config.yml; ls -lR /etc/moorage").stdout
    before_update = server.run("dpkg-query -W -f '${Version}' docker-registry").stdout
    _offer_as_security_update(server, "2.9.9-1")

    def run(what: str, command: str) -> tuple[Counter[str], float]:
        failures, gap = load.during(lambda: server.run(command, timeout=300))
        say(f"{what}: {sum(failures.values())} failed, {gap:.2f} s without a response")
        for reason, count in failures.most_common(5):
            say(f"  {count} x {reason}")
        return failures, gap

    with Load(client) as load:
        time.sleep(1)
        for what, command in UPDATES:
            failures, _ = run(what, command)
            assert not failures, what
            assert _state(server) == slot
            assert server.run("systemctl is-enabled docker-registry", check=False).stdout == (
                "masked\n"
            )
        installed = server.run("dpkg-query -W -f '${Version}' docker-registry").stdout
        assert installed == "2.9.9-1"
        with operator.open(answers) as deployment:
            [status] = read_status(deployment).servers
        assert status.is_healthy
        [update] = [row for row in status_rows(status) if row.key == "registry_update"]
        assert update.text == (
            f"docker-registry 2.9.9-1 is installed (a security update, runs {before_update})"
        )
        assert status.software is not None
        assert {each.name: each.has_update for each in status.software.packages} == {
            "docker-registry": True,
            "nginx": False,
        }

        # A replaced library: needrestart leaves the slot alone, and replaces nginx's process.
        before = server.read_file("/run/nginx.pid")
        failures, _ = run("libc", f"{APT} --reinstall libc6 && needrestart -q -r a")
        assert not failures
        assert _state(server) == slot
        assert server.read_file("/run/nginx.pid") != before
        server.run("! grep '\\.so.* (deleted)$' /proc/$(cat /run/nginx.pid)/maps")

        # Debian's package restarts nginx, which refuses connections while requests end.
        failures, gap = run("nginx", f"{APT} --reinstall {WEB_SERVER}")
        assert all(any(each in why for each in EXPECTED_OF_A_RESTART) for why in failures)
        # With Debian's unit, it takes five seconds.
        assert gap < 4 * slowness()
    assert _state(server) == slot
    assert config == (
        server.run("sha256sum /etc/docker/registry/config.yml; ls -lR /etc/moorage").stdout
    )
    assert not operator.plan(answers).has_changes

    server.run("systemctl restart moorage-registry@blue")
    wait_until(lambda: operator.status(server) == 200)
    assert _state(server)[1] == slot[1]
    server.crash()
    server.start()
    wait_until(lambda: operator.status(server) == 200)
    assert (
        _state(server)[1]
        == slot[1]
        != server.run("sha256sum </usr/bin/docker-registry").stdout.split()[0]
    )
