"""Every runtime: a real Docker engine pushes, skopeo pulls the same digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator, copy_back, inspect_digest, push

from lab import LabServer
from lab.image import build_small_image
from lab.machine import say
from moorage.answers.model import Answers


@pytest.mark.parametrize(
    ("runtime", "suite", "user"),
    [
        ("package", "bookworm", "root"),
        ("package", "trixie", "admin"),
        ("docker", "bookworm", "deploy"),
        ("docker", "trixie", "admin"),
        ("podman", "bookworm", "admin"),
        ("podman", "trixie", "deploy"),
    ],
)
def test_docker_pushes_and_skopeo_pulls_the_same_digest(
    runtime: str,
    suite: str,
    user: str,
    servers: Any,
    client: LabServer,
    registry_image: Path,
    operator: Operator,
    tmp_path: Path,
) -> None:
    # Debian 13 shows that the packages are installed.
    has_engine = runtime != "package" and suite == "bookworm"
    extra = {"docker": ["docker.io"], "podman": ["podman"]}.get(runtime)
    [server] = servers(1, variant="ready", extra=extra) if has_engine else servers(1, suite=suite)
    registry: dict[str, Any] = {"domain": DOMAIN, "runtime": runtime}
    if runtime != "package":
        registry |= {
            "image": "docker.io/library/registry:2.8",
            "image_archive": str(registry_image),
        }
    if (runtime, suite) == ("docker", "bookworm"):
        # Containers get other user numbers than the server's, unless they are told not to.
        server.write_file("/etc/docker/daemon.json", '{"userns-remap": "default"}')
        server.run("systemctl restart docker")
    login: dict[str, Any] = {"host": server.address, "user": user, "key": str(server.key)}
    if user == "admin":
        login["sudo_password"] = {"env": "SUDO_PASSWORD"}
    answers = operator.answers([server], registry=registry, servers=[login])

    outcome = operator.install(answers, verify=True)

    assert "docker-registry.service" not in outcome.log  # its masked unit would complain
    _listens_on_loopback_only(server)
    operator.trust(client, server)
    operator.log_in(client)
    image = build_small_image(tmp_path / "small.tar", f"{runtime}-{suite}:1")
    digest = push(client, image, "team/app:1")
    assert inspect_digest(client, f"{DOMAIN}/team/app:1") == digest
    copy_back(client, f"{DOMAIN}/team/app@{digest}")
    assert not operator.plan(answers).has_changes
    _secrets_are_for_root_only(operator, answers, server)
    say(f"{runtime} on {suite} as {user}: pushed and pulled {digest[:19]}")


def _secrets_are_for_root_only(operator: Operator, answers: Answers, server: LabServer) -> None:
    """Whoever is neither root nor the registry finds its secret nowhere."""
    secret = operator.plan(answers).materials.http_secret.reveal()
    found = server.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c",
         "grep -rlF -f - /etc /run /var/lib /var/log 2>/dev/null; true"],
        stdin=f"{secret}\n",
    ).stdout  # fmt: skip
    assert found == ""


def _listens_on_loopback_only(server: LabServer) -> None:
    for line in server.run("ss -Hltn").stdout.splitlines():
        address = line.split()[3]
        port = int(address.rpartition(":")[2])
        if port not in {22, 80, 443}:
            assert address.startswith("127.0.0.1:"), line


@pytest.mark.ready
def test_a_pull_user_cannot_push(operator: Operator, server: LabServer) -> None:
    users = [
        {"name": "ci", "password": {"generate": True}},
        {"name": "reader", "access": "pull", "password": {"generate": True}},
    ]
    operator.install(operator.answers([server], credentials={"users": users}))
    upload = "/v2/team/app/blobs/uploads/"
    assert operator.status(server, user="reader") == 200
    assert operator.status(server, upload, user="reader", method="POST") == 403
    assert operator.status(server, upload, user="ci", method="POST") == 202
    assert operator.status(server, upload, user="nobody", password="x", method="POST") == 401
    assert operator.status(server, upload, user=None, method="POST") == 401
