"""The registry's own image is pulled from a registry that needs a login."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from lab.image import REGISTRY_TAG

PORT = 5999
IMAGE = f"127.0.0.1:{PORT}/base/registry:2.8"
PASSWORD = "harbour-crane-31"
CONFIG = f"""\
version: 0.1
storage: {{inmemory: {{}}}}
http: {{addr: "127.0.0.1:{PORT}"}}
auth: {{htpasswd: {{realm: x, path: /root/htpasswd}}}}
"""
# Docker uses plain HTTP on 127.0.0.1 by itself, Podman only where it is told to.
PLAIN_HTTP = f"""\
[[registry]]
location = "127.0.0.1:{PORT}"
insecure = true
"""


def _keep_image_behind_a_login(server: LabServer, archive: Path, engine: str) -> None:
    """Run a registry that has the image on the server, and remove the image from the engine."""
    server.write_file("/root/private.yml", CONFIG)
    server.write_file("/etc/containers/registries.conf.d/plain.conf", PLAIN_HTTP)
    server.write_file("/root/pw", PASSWORD, mode=0o600)
    shutil.copy(archive, server.root / "root/image.tar")
    server.run(
        f"""
        set -e
        htpasswd -iBc /root/htpasswd deploy </root/pw 2>/dev/null
        systemd-run -q --unit private-registry docker-registry serve /root/private.yml
        if [ {engine} = docker ]; then systemctl start docker; fi
        {engine} load -q -i /root/image.tar
        {engine} tag {REGISTRY_TAG} {IMAGE}
        until {engine} login -u deploy --password-stdin 127.0.0.1:{PORT} </root/pw
        do sleep 0.2; done
        {engine} push -q {IMAGE}
        {engine} logout 127.0.0.1:{PORT}
        {engine} rmi {IMAGE} {REGISTRY_TAG}
        rm -f /root/pw /root/image.tar /root/.docker/config.json /run/containers/0/auth.json
        """,
        timeout=180,
    )


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("docker", marks=pytest.mark.ready("docker.io", "apache2-utils")),
        pytest.param("podman", marks=pytest.mark.ready("podman", "apache2-utils")),
    ],
)
def test_an_image_behind_a_login_is_pulled_with_it(
    operator: Operator,
    server: LabServer,
    registry_image: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
) -> None:
    _keep_image_behind_a_login(server, registry_image, engine)
    registry: dict[str, Any] = {"domain": DOMAIN, "runtime": engine, "image": IMAGE}

    without = operator.apply(operator.answers([server], registry=registry))

    (failed,) = without.report.servers
    assert failed.code == "image_needs_login"
    assert failed.cause is not None
    assert failed.cause.fields == ("registry.image", "registry.image_login")

    login = {"user": "deploy", "password": {"env": "IMAGE_PASSWORD"}}
    answers = operator.answers([server], registry=registry | {"image_login": login})
    monkeypatch.setenv("IMAGE_PASSWORD", "not-the-crane-31")

    (refused,) = operator.apply(answers).report.servers

    assert refused.code == "image_login_refused"

    monkeypatch.setenv("IMAGE_PASSWORD", PASSWORD)
    operator.leaks.add(PASSWORD)

    operator.install(answers)

    left = server.run(
        "cat /root/.docker/config.json /run/containers/0/auth.json"
        " /var/lib/moorage/runs/*/image-login/* 2>&1 || :"
    )
    assert "auths" not in left.stdout
    assert not operator.plan(answers).has_changes
