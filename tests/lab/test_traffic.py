"""Clients that push and pull all the time notice nothing of a change."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator

import pytest
from operator_at_work import DOMAIN, Operator
from traffic import Traffic

from lab import LabServer
from lab.machine import say

pytestmark = pytest.mark.ready


@pytest.mark.deployed
def test_switching_slots_fails_no_request(operator: Operator, server: LabServer) -> None:
    client = operator.client(server)
    with Traffic([client] * 4) as traffic:
        for level in ("debug", "info", "warn"):
            registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
            operator.install(operator.answers([server], registry=registry))
    say(f"{traffic.count} pushes and pulls during 3 switches, {len(traffic.failures)} failed")
    assert traffic.count > 20
    assert traffic.failures == []


@pytest.mark.deployed
def test_an_upload_in_progress_survives_a_switch(operator: Operator, server: LabServer) -> None:
    client = operator.client(server)
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
