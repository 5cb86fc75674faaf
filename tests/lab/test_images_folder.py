"""The disk of the images is missing after a reboot: nothing is pushed to the disk beneath it."""

from __future__ import annotations

import pytest
from explained import explained
from operator_at_work import Operator
from traffic import push_blob
from waiting import wait_until

from lab import LabServer
from moorage.answers.model import Answers
from moorage.deploy.status.discovery import answers_for
from moorage.deploy.status.status import status_of

pytestmark = pytest.mark.ready

# Where the disk is mounted, and the images' folder: it is the mount, lies below it, or Moorage's
# whole state is on the disk.
LAYOUTS = (
    ("/srv/images", "/srv/images"),
    ("/srv/disk", "/srv/disk/images"),
    ("/var/lib/moorage", "/var/lib/moorage/registry"),
)


def _keep_in(operator: Operator, server: LabServer, folder: str) -> Answers:
    storage = {"driver": "filesystem", "filesystem": {"path": folder}}
    return operator.answers([server], storage=storage)


def test_images_are_never_stored_beneath_the_mount_point(
    operator: Operator, server: LabServer
) -> None:
    for number, (mount, folder) in enumerate(LAYOUTS):
        # A bind mount is gone after a reboot as a disk is that did not come up.
        attach = f"mount --bind /disk{number} {mount}"
        server.run(f"mkdir -p /disk{number} {mount} && {attach}")
        answers = _keep_in(operator, server, folder)
        operator.install(answers)
        client = operator.client(server)
        digest = push_blob(client, "team/kept", b"kept" * 1000)

        server.crash()
        server.start()
        server.wait_until_up()

        wait_until(lambda client=client: client.request("GET", "/v2/").status == 503, 120)  # type: ignore[misc]
        assert client.request("POST", "/v2/team/new/blobs/uploads/").status == 503
        assert server.run(["sh", "-c", f'find "{folder}" -type f 2>/dev/null; true']).stdout == ""
        with operator.open(answers) as deployment:
            [facts] = deployment.probe()
            [missing] = deployment.plan_from([facts]).consequences
        assert (missing.code, missing.needs) == ("store_missing", "begin_empty")
        assert f"nothing is mounted on {mount} now" in missing.text
        assert missing.text.split(":")[0] in " ".join(explained(status_of(facts)))
        # Who names only the server does not say which folder it is.
        with operator.open(answers_for(answers.servers)) as deployment:
            [facts] = deployment.probe()
        assert "image disk is missing" in " ".join(explained(status_of(facts)))

        server.run(attach)
        path = f"/v2/team/kept/blobs/{digest}"
        wait_until(lambda client=client, path=path: client.request("GET", path).status == 200, 120)  # type: ignore[misc]
        assert not operator.plan(answers).has_changes


def test_a_disk_with_images_in_use_is_not_unmounted(operator: Operator, server: LabServer) -> None:
    server.run("mkdir -p /disk /srv/images && mount --bind /disk /srv/images")
    operator.install(_keep_in(operator, server, "/srv/images"))
    assert server.run("umount /srv/images", check=False).returncode != 0
