"""Uninstalling gives back container engines with the images and containers that they had."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN
from server_listing import BY_SYSTEM, LEFT_BY_DEBIAN, check_same, listing, of_moorage

from lab import LabServer
from lab.image import build_small_image

IMAGE = "docker.io/library/registry:2.8"
_MOUNTED_BY_LAB = (r"path /var/lib/(docker|containerd) ",)
_ENDS_BY_ITSELF = (r"active podman\.service",)


@pytest.fixture
def cli(call: CommandLine) -> CommandLine:
    """Return the command line with the password of its answers."""
    call.environment["CI_PW"] = PASSWORD
    return call


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_an_engine_that_moorage_installed(
    runtime: str, cli: CommandLine, server: LabServer, registry_image: Path
) -> None:
    before = listing(server)
    _install(cli, server, runtime, registry_image)

    done = cli("uninstall", "moorage.yml", "--yes", "--images", "--packages")

    assert done.code == 0, done
    after = listing(server)
    assert of_moorage(after) == []
    check_same(before, after, (*BY_SYSTEM, *LEFT_BY_DEBIAN, *_MOUNTED_BY_LAB))
    assert server.run("cd /var/lib && ls -A docker containerd containers").stdout.split() == [
        "containerd:", "containers:", "docker:",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("docker", marks=pytest.mark.ready("docker.io")),
        pytest.param("podman", marks=pytest.mark.ready("podman")),
    ],
)
def test_an_engine_that_others_use(
    runtime: str, cli: CommandLine, server: LabServer, registry_image: Path, tmp_path: Path
) -> None:
    # The same image under another name, another image under the same name, and a container.
    other = build_small_image(tmp_path / "other.tar", IMAGE)
    for archive in (registry_image, other):
        shutil.copy(archive, server.inside("/root/image.tar"))
        server.run(f"{runtime} load -q -i /root/image.tar")
        server.run(f"{runtime} tag {IMAGE} localhost/mine:{archive.stem}")
    server.run(f"{runtime} create --name mine localhost/mine:registry")
    if runtime == "docker":
        server.run("systemctl disable -q --now docker.service docker.socket containerd")
    before = listing(server)
    _install(cli, server, runtime, registry_image)

    done = cli("uninstall", "moorage.yml", "--yes", "--images", "--packages")

    assert done.code == 0, done
    after = listing(server)
    assert of_moorage(after) == []
    check_same(before, after, (*BY_SYSTEM, *_ENDS_BY_ITSELF))


def _install(cli: CommandLine, server: LabServer, runtime: str, archive: Path) -> None:
    cli.add_known_hosts(server)
    registry = {
        "domain": DOMAIN, "runtime": runtime, "image": IMAGE, "image_archive": str(archive),
    }  # fmt: skip
    cli.write_answers(server, registry=registry)
    applied = cli("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to", "pw")
    assert applied.code == 0, applied
