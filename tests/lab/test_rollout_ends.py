"""Rollouts that end before the switch: each server has a result of its own, and soon."""

from __future__ import annotations

from typing import Any

import pytest
from command_line import CommandLine

from lab import LabServer
from lab.services import ObjectStore

pytestmark = pytest.mark.ready


def _storage(store: ObjectStore, bucket: str) -> dict[str, Any]:
    return {
        "driver": "s3",
        "s3": {
            "bucket": bucket,
            "region": store.region,
            "regionendpoint": store.endpoint,
            "accesskey": {"env": "S3_ACCESS_KEY"},
            "secretkey": {"env": "S3_SECRET_KEY"},
            "secure": False,
        },
    }


def _has_nothing(server: LabServer) -> bool:
    return server.run("ls /etc/moorage/deployment.json", check=False).returncode != 0


def test_each_server_ends_by_itself(call: CommandLine, servers: Any, s3: ObjectStore) -> None:
    machines: list[LabServer] = servers(2)
    call.add_known_hosts(*machines)
    call.environment |= {"S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key}
    apply = ("apply", "moorage.yml", "--yes", "--json", "--passwords-to")

    # A bucket that is missing: both fail at the same time, for the same reason.
    call.write_answers(*machines, storage=_storage(s3, "nowhere"))
    failed = call(*apply, "passwords")
    assert failed.code == 1, failed.stdout
    for result in failed.result["servers"]:
        found = (result["status"], result["code"], result["message"])
        assert found == ("failed", "bucket_missing", "the bucket nowhere does not exist")
        assert result["fields"] == ["storage.s3.bucket"]
    assert "err.detail" not in failed.stdout

    # Moorage is killed: no server waits for a go-ahead that nobody can give.
    call.write_answers(*machines, storage=_storage(s3, s3.bucket))
    process = call.start(*apply, "other-passwords")
    call.until(process, '"step": "recheck"')
    process.kill()
    process.communicate()
    # Less than a quarter of an hour, the time that a server waits otherwise.
    followed = call("status", "moorage.yml", "--follow", "--json")
    for server in followed.json["servers"]:
        assert (server["run"]["status"], server["run"]["code"]) == ("failed", "no_go_ahead")
    assert all(map(_has_nothing, machines))

    assert call(*apply, "more-passwords", "--no-verify").code == 0
