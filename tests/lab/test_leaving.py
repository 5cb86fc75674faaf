"""A server that leaves the answers: its registry keeps running until it is uninstalled."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from boot_servers import BootServers
from command_line import PASSWORD, CommandLine
from images_at_work import client_of
from operator_at_work import Operator
from outcome_of_call import Outcome

from lab.services import ObjectStore
from moorage.images.alive import CLOCK_STEP

pytestmark = pytest.mark.ready("python3")


def _in_bucket(s3: ObjectStore) -> dict[str, Any]:
    return {
        "driver": "s3",
        "s3": {
            "bucket": s3.bucket, "region": s3.region, "regionendpoint": s3.endpoint,
            "secure": False, "rootdirectory": "/leaving",
            "accesskey": {"env": "S3_ACCESS_KEY"}, "secretkey": {"env": "S3_SECRET_KEY"},
        },
    }  # fmt: skip


def _plan(outcome: Outcome) -> Any:
    return next(each for each in outcome.lines if each["event"] == "plan")


def test_images_of_a_server_that_left_are_not_collected(
    call: CommandLine, operator: Operator, servers: BootServers, s3: ObjectStore
) -> None:
    first, second = servers(2)
    call.environment |= {
        "CI_PW": PASSWORD, "S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key,
    }  # fmt: skip
    call.add_known_hosts(first, second)
    storage = _in_bucket(s3)
    call.write_answers(first, second, storage=storage)
    apply = ("apply", "moorage.yml", "--yes", "--json", "--no-verify", "--passwords-to=pw")
    assert call(*apply).code == 0
    operator.passwords["ci"] = PASSWORD

    operator.passwords["ci"] = PASSWORD
    apply = apply[:-1]
    call.write_answers(first, storage=storage)
    left = call(*apply)
    assert left.code == 0, left
    [told] = [each for each in _plan(left)["consequences"] if each["code"] == "server_left_out"]
    assert told["servers"] == [second.address]
    assert not call("plan", "moorage.yml", "--json").json["has_changes"]

    # It still writes to the bucket.
    layer = os.urandom(20_000)
    client_of(operator, second).push("team/app", "1", [layer])
    client_of(operator, first).push("team/old", "1", [os.urandom(20_000)])
    time.sleep(CLOCK_STEP + 1)
    for words in (("collect", "moorage.yml"), ("delete", "moorage.yml", "team/old")):
        refused = call("images", *words, "--yes", "--json")
        assert refused.code == 1
        error = refused.result["error"]
        assert error["code"] == "images_server_left", refused
        assert second.address in error["message"]
        assert f"moorage uninstall --server root@{second.address}" in error["advice"]

    assert call("apply", "moorage.yml", "--yes", "--gone", "other.example.com").code == 1
    gone = call(
        "uninstall", f"--server=root@{second.address}", f"--key={second.key}", "--yes", "--json"
    )
    assert gone.code == 0, gone
    assert call("images", "collect", "moorage.yml", "--yes").code == 1
    forgotten = call(*apply, "--gone", second.address)
    assert forgotten.code == 0, forgotten
    collected = call("images", "collect", "moorage.yml", "--yes", "--json", "--young=0s")
    assert collected.code == 0, collected
    assert client_of(operator, first).pull("team/app", "1")
