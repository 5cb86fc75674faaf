"""Rolling back to another store, with containers, and to what was deployed before all that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN
from tcp_slots import listen_on_ports
from test_several_servers import s3_storage
from test_upgrade import pulls, push_image

from lab import LabServer
from lab.image import REGISTRY_TAG
from lab.services import ObjectStore

pytestmark = pytest.mark.ready
APPLY = ("apply", "moorage.yml", "--yes", "--json", "--skip-large-upload")
ROLLBACK = ("rollback", "moorage.yml", "--yes", "--json", "--skip-large-upload")


@pytest.mark.ready("podman")
@pytest.mark.skipif(not os.environ.get("MOORAGE_THOROUGH"), reason="MOORAGE_THOROUGH is not set")
def test_images_are_where_they_were(
    call: CommandLine,
    server: LabServer,
    s3: ObjectStore,
    registry_image: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From a folder to another one, to a bucket, and back: only if that is accepted."""
    registry = {
        "domain": DOMAIN, "runtime": "podman", "image": REGISTRY_TAG,
        "image_archive": str(registry_image),
    }  # fmt: skip
    call.environment |= {"S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key}
    stores: list[dict[str, Any]] = [
        {"driver": "filesystem"},
        {"driver": "filesystem", "filesystem": {"path": "/srv/images"}},
        s3_storage(s3, monkeypatch),
    ]
    call.add_known_hosts(server)
    digests = []
    for number, storage in enumerate(stores, start=1):
        call.write_answers(server, registry=registry, storage=storage, based_on=number - 1)
        applied = call(*APPLY, "--begin-empty", "--passwords-to", f"passwords{number}")
        assert applied.code == 0, applied.stdout + applied.stderr
        client = call.operator.client(server, PASSWORD)
        digests.append(push_image(client, f"team/app{number}", "1"))

    for number in (2, 1):
        refused = call(*ROLLBACK, "--to", str(number))
        assert refused.code == 1
        assert refused.result["error"]["code"] == "storage_has_images", refused.stdout
        back = call(*ROLLBACK, "--to", str(number), "--begin-empty")
        assert back.code == 0, back.stdout + back.stderr
        assert pulls(client, f"team/app{number}", digests[number - 1])
        assert not pulls(client, f"team/app{number + 1}", digests[number])
        written = yaml.safe_load((call.home / "moorage.yml").read_text())
        assert written["storage"].get("filesystem") == stores[number - 1].get("filesystem")
        again = call("plan", "moorage.yml", "--detailed-exitcode")
        assert again.code == 0, again.stdout
    # Forward to the bucket, whose keys are still those of the answers.
    forward = call(*ROLLBACK, "--to", "3", "--begin-empty")
    assert forward.code == 0, forward.stdout
    assert pulls(client, "team/app3", digests[2])
    planned = next(json.loads(line) for line in forward.stdout.splitlines() if '"plan"' in line)
    assert planned["left"] == ["storage.s3.accesskey", "storage.s3.secretkey"]


def test_a_deployment_from_before_programs_were_kept(call: CommandLine, server: LabServer) -> None:
    call.add_known_hosts(server)
    call.write_answers(server)
    applied = call(*APPLY, "--passwords-to", "passwords")
    assert applied.code == 0, applied.stdout
    listen_on_ports(server)
    server.run("rm -rf /var/lib/moorage/deployments")
    client = call.operator.client(server, PASSWORD)
    digest = push_image(client, "team/app", "1")
    for words in (ROLLBACK, ("diff", "moorage.yml", "--json")):
        nothing = call(*words)
        assert nothing.code == 1
        assert "no_deployment_before" in nothing.stdout + nothing.stderr
    registry = {"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    call.write_answers(server, registry=registry, based_on=1)
    applied = call(*APPLY)
    assert applied.code == 0, applied.stdout
    # It is kept, to be compared, but its slots are other ones.
    compared = call("diff", "moorage.yml").stdout
    assert "+EnvironmentFile=/etc/moorage/registry/%i/program.env" in compared, compared
    back = call(*ROLLBACK)
    assert (back.code, back.result["error"]["code"]) == (1, "deployment_too_old"), back.stdout
    assert pulls(client, "team/app", digest)
    # The next one is, also to another folder, if that is accepted.
    storage = {"driver": "filesystem", "filesystem": {"path": "/srv/images"}}
    call.write_answers(server, registry=registry, storage=storage, based_on=2)
    assert call(*APPLY, "--begin-empty").code == 0
    push_image(client, "team/other", "1")
    refused = call(*ROLLBACK)
    assert refused.result["error"]["code"] == "storage_has_images", refused.stdout
    # The passwords are not needed.
    path = call.home / "moorage.yml"
    path.write_text(path.read_text().replace("CI_PW", "NOT_SET"))
    back = call(*ROLLBACK, "--begin-empty")
    assert (back.code, back.result["verification"]) == (0, "incomplete"), back.stdout
    assert yaml.safe_load(path.read_text())["based_on"] == 4
    assert pulls(client, "team/app", digest)
