"""A disk that is full of broken-off pushes, or has no inodes left, says so and gets free again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from explained import explained
from operator_at_work import Operator

from lab import LabServer
from moorage.deploy.deployment import Deployment
from moorage.deploy.status.status import ServerStatus, status_of
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.errors import MoorageError

MiB = 1024**2
IMAGES = "/srv/images"
UPLOADS = f"find {IMAGES} -path '*/_uploads/*'"


def _status(deployment: Deployment) -> ServerStatus:
    [facts] = deployment.probe_each()
    assert not isinstance(facts, MoorageError), facts
    return status_of(facts)


def _upload(client: RegistryClient, repository: str, size: int) -> int:
    """Send an upload without finishing it; return the status."""

    def chunks() -> Iterator[bytes]:
        chunk = os.urandom(MiB)
        for _ in range(size // MiB):
            yield chunk

    begun = client.request("POST", f"/v2/{repository}/blobs/uploads/")
    if begun.status != 202:
        return begun.status
    try:
        return client.request(
            "PATCH",
            begun.header("Location") or "",
            body=chunks(),
            headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"},
        ).status
    except (OSError, MoorageError):
        return 0  # nginx may hang up before it has read everything


@pytest.mark.ready
def test_a_push_that_filled_the_disk_does_not_stop_the_others(
    operator: Operator, server: LabServer
) -> None:
    server.run(
        f"mkdir -p {IMAGES} && mount -t tmpfs -o size=700m,nr_inodes=20000,mode=0755 t {IMAGES}"
    )
    storage = {"driver": "filesystem", "filesystem": {"path": IMAGES}}
    answers = operator.answers([server], storage=storage)
    operator.install(answers)
    client = operator.client(server)
    assert server.run("systemctl is-active moorage-uploads.timer").stdout.strip() == "active"

    assert _upload(client, "too/large", 800 * MiB) != 202
    assert _upload(client, "small", 2 * MiB) != 202
    with operator.open(answers) as deployment:
        [fault] = explained(_status(deployment))
        assert f"MiB of 0.7 GiB are free on {IMAGES}." in fault
        assert "Unfinished uploads take " in fault

        # As if a while had gone by. Another push is under way and stays.
        server.run(f"{UPLOADS} -exec touch -d '20 minutes ago' {{}} +")
        server.run("systemctl start moorage-uploads.service")
        assert _upload(client, "small", 2 * MiB) == 202
        server.run("systemctl start moorage-uploads.service")
        assert server.run(f"{UPLOADS} -name data | wc -l").stdout.strip() == "1"
        assert explained(_status(deployment)) == ()

        server.run(f"cd {IMAGES} && mkdir filler && cd filler && seq 16000 | xargs touch")
        [fault] = explained(_status(deployment))
        assert fault.startswith(f"{IMAGES} has room for only ")
        assert "of 20000 files (inodes)" in fault
        assert [problem.code for problem in deployment.plan().problems] == ["inodes_full"]
