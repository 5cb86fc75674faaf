"""The registry of release 3, laid out as its official image, in both container engines.

No Debian package brings it: MOORAGE_TEST_REGISTRY_3 names the program, else these are skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator, copy_back, inspect_digest, push

from lab import LabServer
from lab.image import REGISTRY_3_TAG, REGISTRY_TAG, build_small_image


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_an_upgrade_and_a_downgrade_keep_the_images(
    runtime: str,
    operator: Operator,
    server: LabServer,
    client: LabServer,
    registry_image: Path,
    registry_3_image: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A password that every apply can check with, not only the one that makes it.
    monkeypatch.setenv("CI_PASSWORD", operator.passwords.setdefault("ci", "harbour-bell-77"))
    credentials = {"users": [{"name": "ci", "password": {"env": "CI_PASSWORD"}}]}
    releases = {REGISTRY_TAG: registry_image, REGISTRY_3_TAG: registry_3_image}
    digests: dict[str, str] = {}
    for number, tag in enumerate((REGISTRY_3_TAG, REGISTRY_TAG, REGISTRY_3_TAG), start=1):
        registry: dict[str, Any] = {
            "runtime": runtime,
            "image": tag,
            "image_archive": str(releases[tag]),
        }
        answers = operator.answers([server], registry=registry, credentials=credentials)

        operator.install(answers, verify=True)

        assert tag.rpartition(":")[2] in _running_release(server)
        if number == 1:
            operator.trust(client, server)
            operator.log_in(client)
        name = f"{DOMAIN}/team/app:{number}"
        image = build_small_image(tmp_path / "small.tar", f"three-{runtime}:{number}")
        digests[name] = push(client, image, f"team/app:{number}")
        for pushed, digest in digests.items():
            assert inspect_digest(client, pushed) == digest
            copy_back(client, pushed)
        assert not operator.plan(answers).has_changes


def _running_release(server: LabServer) -> str:
    """Return what the active slot's container was started from."""
    active = server.run(
        "grep -o 'blue\\|green' /etc/nginx/moorage/upstream.conf | head -n 1"
    ).stdout
    return server.read_file(f"/etc/moorage/registry/{active.strip()}/program.env")
