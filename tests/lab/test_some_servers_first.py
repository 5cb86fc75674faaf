"""Another image on one of two servers: tried, taken back, and then on both, with FILE in step."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN
from test_several_servers import s3_storage
from test_upgrade import pulls, push_image
from traffic import Traffic

from lab import LabServer
from lab.image import REGISTRY_3_TAG, REGISTRY_TAG
from lab.machine import say
from lab.services import ObjectStore

pytestmark = [
    pytest.mark.ready("docker.io"),
    pytest.mark.skipif(
        not os.environ.get("MOORAGE_THOROUGH"), reason="MOORAGE_THOROUGH is not set"
    ),
]


def test_one_server_tries_another_image_and_goes_back(
    call: CommandLine,
    servers: Any,
    s3: ObjectStore,
    registry_image: Path,
    registry_3_image: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machines: list[LabServer] = servers(2)
    first, second = (each.address for each in machines)
    call.environment |= {"S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key}
    call.add_known_hosts(*machines)
    for machine in machines:
        for archive in (registry_image, registry_3_image):
            (machine.inside("/root") / archive.name).write_bytes(archive.read_bytes())
            machine.run(f"docker load -i /root/{archive.name}")
    registry = {"domain": DOMAIN, "runtime": "docker", "image": REGISTRY_TAG}
    call.write_answers(*machines, registry=registry, storage=s3_storage(s3, monkeypatch))
    path = call.home / "moorage.yml"
    path.write_text(f"# Ours.\n{yaml.safe_dump(json.loads(path.read_text()), sort_keys=False)}")
    applied = call("apply", "moorage.yml", "--yes", "--show-passwords", "--no-verify")
    assert applied.code == 0, applied.stdout + applied.stderr
    clients = [call.operator.client(each, PASSWORD) for each in machines]
    digest = push_image(clients[0], "team/app", "1")
    text = path.read_text()

    def run(*words: str) -> dict[str, Any]:
        with Traffic(clients * 4) as traffic:
            done = call(words[0], "moorage.yml", "--yes", "--json", "--no-verify", *words[1:])
        assert done.code == 0, done.stdout + done.stderr
        assert traffic.failures == []
        say(f"{' '.join(words)}: {traffic.count} pushes and pulls")
        again = call("plan", "moorage.yml", "--detailed-exitcode")
        assert again.code == 0, again.stdout
        assert all(pulls(client, "team/app", digest) for client in clients)
        return next(json.loads(line) for line in done.stdout.splitlines() if '"plan"' in line)

    def images() -> list[str]:
        inspect = "docker inspect -f '{{.Image}}' $(docker ps -q)"
        return [each.run(inspect).stdout.strip() for each in machines]

    def versions() -> object:
        return json.loads(call("status", "moorage.yml", "--json").stdout)["versions"]

    tried = run("upgrade", "--image", REGISTRY_3_TAG, "--limit", first)
    assert [row["text"] for row in tried["expectations"] if row["key"] == "others"] == [second]
    assert len({*images()}) == 2
    assert [*versions().values()] == [[first], [second]]
    written = yaml.safe_load(path.read_text())
    assert written["registry"]["image"] == REGISTRY_TAG
    assert [each.get("image") for each in written["servers"]] == [REGISTRY_3_TAG, None]
    assert path.read_text().startswith("# Ours.")

    back = run("rollback", "--limit", first)
    assert back["differ"] == back["left"] == []
    assert path.read_text() == text.replace("based_on: 1", "based_on: 3")
    assert len({*images()}) == 1
    assert versions() == {}

    for each in (first, second):
        run("upgrade", "--image", REGISTRY_3_TAG, "--limit", each)
    assert versions() == {}
    assert path.read_text() == text.replace(REGISTRY_TAG, REGISTRY_3_TAG).replace(
        "based_on: 1", "based_on: 5"
    )
    # The deployment before is one that both had.
    run("rollback")
    assert path.read_text() == text.replace("based_on: 1", "based_on: 6")
