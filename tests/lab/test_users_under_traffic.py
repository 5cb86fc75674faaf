"""Changing users while clients push and pull: nobody notices."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from operator_at_work import DOMAIN, Operator, log_in, push
from thorough import IS_THOROUGH
from traffic import PAUSE

from lab import LabServer
from lab.image import build_small_image
from lab.machine import say
from moorage.deploy.users.change import change_users, plan_change, read_users
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.desired.users import RegistryUser
from moorage.users import edits

pytestmark = pytest.mark.ready

CHANGES = 20 if IS_THOROUGH else 6
# Nobody knows this hash's password.
HASH = "$2y$12$" + "abcdefghijklmnopqrstuu" + "Syn8a9zXl4qM8lXU0n0w1m1r4l0cT9u"


def _push_and_pull(client: RegistryClient, repository: str) -> int:
    """Upload a blob in two requests and get it back; return how many requests that took."""
    blob = os.urandom(50_000)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    begun = client.request("POST", f"/v2/{repository}/blobs/uploads/")
    assert begun.status == 202, begun
    done = client.put_blob(begun.header("Location") or "", blob, digest)
    assert done.status == 201, done
    pulled = client.request("GET", f"/v2/{repository}/blobs/{digest}")
    assert pulled.status == 200, pulled
    assert pulled.body == blob
    return 3


@pytest.mark.deployed
def test_changes_of_users_fail_no_request(
    operator: Operator, server: LabServer, client: LabServer, tmp_path: Path
) -> None:
    answers = operator.answers([server])
    operator.trust(client, server)
    log_in(client, "ci", operator.passwords["ci"])
    image = build_small_image(tmp_path / "small.tar")
    push(client, image, "load/docker:first")
    http = operator.client(server)

    def docker() -> int:
        client.run(
            ["sh", "-c", 'docker rmi -f "$1" >/dev/null; docker pull -q "$1"; '
             'docker tag "$1" "$2"; docker push -q "$2"', "sh",
             f"{DOMAIN}/load/docker:first", f"{DOMAIN}/load/docker:again"]
        )  # fmt: skip
        return 2

    work: list[Callable[[], int]] = [
        docker,
        lambda: _push_and_pull(http, "load/first"),
        lambda: _push_and_pull(http, "load/second"),
        lambda: _push_and_pull(http, "load/third"),
    ]
    ended = threading.Event()
    failures: list[str] = []
    counts = [0] * len(work)

    def go_on(number: int) -> None:
        while not ended.is_set():
            try:
                counts[number] += work[number]()
            except Exception as error:  # whatever it is, it is a failure to report
                failures.append(f"client {number}: {error!r}")
            ended.wait(PAUSE)

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    upload = _Upload(http)
    upload.start()
    with operator.open(answers) as deployment:
        for number in range(CHANGES):
            read = read_users(deployment)
            name = "coming-and-going"
            users = (
                edits.remove(read.users, [name])
                if name in read.places
                else edits.add(read.users, RegistryUser(name, HASH, "pull", (f"a{number}/*",)))
            )
            report = change_users(deployment, plan_change(read, users))
            assert report.is_good, report
    upload.finish()
    ended.set()
    for thread in threads:
        thread.join()
    say(
        f"{CHANGES} user changes: {sum(counts[1:])} requests and {counts[0]} docker pulls and "
        f"pushes meanwhile, {len(failures)} failed; one upload of {upload.sent} bytes all through"
    )
    assert failures == []
    assert upload.statuses == [202, 201]
    assert min(counts) > 0
    assert read_users_revision(operator, server) == 1 + CHANGES


def read_users_revision(operator: Operator, server: LabServer) -> int:
    """Return how many changes a server's users have seen."""
    with operator.open(operator.answers([server])) as deployment:
        return read_users(deployment).revision


class _Upload(threading.Thread):
    """One blob whose upload takes as long as the changes do."""

    def __init__(self, client: RegistryClient) -> None:
        super().__init__()
        self.client = client
        self.sent = 0
        self.statuses: list[int] = []
        self._last = threading.Event()
        self._digest = hashlib.sha256()

    def finish(self) -> None:
        """Send the last piece and wait for the end."""
        self._last.set()
        self.join()

    def run(self) -> None:
        """Upload in one chunked request."""
        begun = self.client.request("POST", "/v2/load/slow/blobs/uploads/")
        answer = self.client.request(
            "PATCH",
            begun.header("Location") or "",
            body=self._pieces(),
            headers={"Content-Type": "application/octet-stream"},
        )
        digest = "sha256:" + self._digest.hexdigest()
        done = self.client.put_blob(answer.header("Location") or "", b"", digest)
        self.statuses = [answer.status, done.status]

    def _pieces(self) -> Iterator[bytes]:
        while not self._last.is_set():
            piece = os.urandom(10_000)
            self._digest.update(piece)
            self.sent += len(piece)
            yield piece
            time.sleep(0.1)
