"""Clients that push and pull all the time notice nothing of a change."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from operator_at_work import DOMAIN, Operator

from lab import LabServer
from lab.machine import say
from moorage.answers.secrets import Secret
from moorage.deploy.registry_client import Answer, RegistryClient
from moorage.errors import MoorageError


def _client(operator: Operator, server: LabServer) -> RegistryClient:
    authority = next((operator.home / "state" / "ca").glob("*/ca.pem")).read_bytes()
    password = Secret(operator.passwords["ci"])
    return RegistryClient(server.address, 443, DOMAIN, True, authority, "ci", password)


def _asked_again(ask: Callable[[], Answer]) -> Answer:
    """Ask once more when the connection was closed before anything was answered.

    A worker of nginx that ends closes connections whose request it has not begun to read; clients
    have to expect that of every reload.
    """
    try:
        return ask()
    except MoorageError as error:
        if "RemoteDisconnected" not in error.message:
            raise
        return ask()


def _push_blob(client: RegistryClient, repository: str, blob: bytes) -> str:
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    begun = _asked_again(lambda: client.request("POST", f"/v2/{repository}/blobs/uploads/"))
    assert begun.status == 202, begun
    location = begun.header("Location") or ""
    done = _asked_again(lambda: client.put_blob(location, blob, digest))
    assert done.status == 201, done
    return digest


def test_switching_slots_fails_no_request(operator: Operator, server: LabServer) -> None:
    operator.install(operator.answers([server]))
    client = _client(operator, server)
    ended = threading.Event()
    failures: list[str] = []
    counts = [0, 0, 0, 0]

    def work(number: int) -> None:
        while not ended.is_set():
            try:
                blob = os.urandom(50_000)
                digest = _push_blob(client, f"load/worker{number}", blob)
                path = f"/v2/load/worker{number}/blobs/{digest}"
                pulled = _asked_again(partial(client.request, "GET", path))
                assert pulled.status == 200, pulled
                assert pulled.body == blob
            except Exception as error:  # whatever it is, it is a failure to report
                failures.append(repr(error))
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for level in ("debug", "info", "warn"):
        registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
        operator.install(operator.answers([server], registry=registry))
    ended.set()
    for worker in workers:
        worker.join()
    say(f"{sum(counts)} pushes and as many pulls during 3 switches, {len(failures)} failed")
    assert sum(counts) > 20
    assert failures == []


def test_an_upload_under_way_survives_a_switch(operator: Operator, server: LabServer) -> None:
    operator.install(operator.answers([server]))
    client = _client(operator, server)
    blob = os.urandom(8 * 1024**2)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    begun = client.request("POST", "/v2/slow/upload/blobs/uploads/")
    sending = threading.Event()

    def trickle() -> Iterator[bytes]:
        for start in range(0, len(blob), 256 * 1024):
            yield blob[start : start + 256 * 1024]
            sending.set()
            time.sleep(0.2)

    answers: list[int] = []

    def upload() -> None:
        answer = client.request(
            "PATCH",
            begun.header("Location") or "",
            body=trickle(),
            headers={"Content-Length": str(len(blob)), "Content-Type": "application/octet-stream"},
        )
        answers.append(answer.status)
        answers.append(client.put_blob(answer.header("Location") or "", b"", digest).status)

    uploader = threading.Thread(target=upload)
    uploader.start()
    sending.wait()
    registry = {"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    operator.install(operator.answers([server], registry=registry))
    uploader.join()
    assert answers == [202, 201]
