"""Upgrades from the dashboard: the version, the plan, the apply."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers
from opening import opened
from sample_images import sample_images
from test_dashboard import dashboard, deployed
from wizard_driver import SIZES

from moorage.answers.load import load
from moorage.answers.record import without_secrets
from moorage.desired import layout
from screens.apply.screen import ApplyScreen
from screens.done.screen import DoneScreen
from tui.document import store
from tui.document.draft import Draft

OFFER = b"version\t2.8.3-1\nversion\t2.8.2-1\nchosen\t2.8.3-1\n"
PROGRAM = b"""\
MOORAGE_RUNTIME="package"
MOORAGE_PROGRAM="/usr/local/lib/moorage/programs/abc"
MOORAGE_PROGRAM_VERSION="2.8.2"
MOORAGE_PACKAGE_VERSION="2.8.2-1"
"""


@pytest.fixture
def alpha(tmp_path: Path) -> FakeServer:
    """A deployed server whose apt has a newer version."""
    server = deployed(FakeServer("alpha", images=sample_images(tmp_path / "storage").root), ["ci"])
    server.files["/etc/moorage/registry/blue/program.env"] = PROGRAM
    server.newest = OFFER
    return server


@pytest.mark.parametrize("size", SIZES)
async def test_an_upgrade_is_planned_confirmed_and_applied(
    alpha: FakeServer, size: tuple[int, int]
) -> None:
    async with dashboard(alpha, size=size) as wizard:
        await wizard.press("g")
        await wizard.see("Upgrade the registry", "Version", "empty for the newest")
        await wizard.press("enter")
        await wizard.see("alpha: docker-registry 2.8.2-1 → docker-registry 2.8.3-1", "Interrupts")
        assert alpha.runs == 0
        # The record's answers are without TLS, which the question is careful about.
        await wizard.press("right", "enter")
        await wizard.until(
            lambda: isinstance(wizard.app.screen, ApplyScreen | DoneScreen), "the apply"
        )
        await wizard.until(lambda: alpha.runs == 1, "a run")
        assert "package_version\t2.8.3-1\n" in alpha.settings
        assert "program\ttake\n" in alpha.settings


IMAGE = b"""\
MOORAGE_RUNTIME="docker"
MOORAGE_IMAGE="sha256:abc"
MOORAGE_IMAGE_NAME="docker.io/library/registry:2.8"
"""
FILE = """\
# Ours.
version: 1
registry:
  domain: registry.example.com
  runtime: docker
  image: docker.io/library/registry:2.8   # the official one
servers:
  - {host: alpha}
  - {host: beta}   # the canary
storage: {driver: s3, s3: {bucket: images, region: eu-central-1}}
ssl: {mode: none}
credentials:
  users:
    - {name: ci, access: push, password: {generate: true}}
"""


@pytest.mark.parametrize("fails", [False, True])
async def test_the_answers_name_the_image_of_the_server_that_was_upgraded(
    tmp_path: Path, fails: bool
) -> None:
    path = tmp_path / "moorage.yml"
    path.write_text(FILE)
    store.keep_applied(Draft.from_answers(load(path)))
    known = FakeServers()
    for name in ("alpha", "beta"):
        server = deployed(known[name], ["ci"])
        record = json.loads(server.files[layout.DEPLOYMENT])
        record |= {"server": name, "answers": without_secrets(load(path))}
        server.files[layout.program_path("blue")] = IMAGE
        server.files[layout.DEPLOYMENT] = json.dumps(record).encode()
    known["beta"].result = "@result\tfailed\tit broke\n" if fails else known["beta"].result
    image = "docker.io/library/registry:3.1.1"
    async with opened(known, path=path, size=(120, 40)) as wizard:
        await wizard.see("Dashboard", "(as of ")
        await wizard.press("g")
        await wizard.see("Upgrade the registry", "Image", "All servers", "Only beta")
        await wizard.press("ctrl+u")
        await wizard.type(image)
        await wizard.press("enter", "down", "down", "enter")
        await wizard.see("beta: docker.io/library/registry:2.8 →", image, "Unchanged: alpha")
        await wizard.press("right", "enter")
        await wizard.until(lambda: known["beta"].runs == 1, "a run")
        # The fake servers cannot be reached from outside.
        await wizard.see("Apply failed", "Enter: report")
        await wizard.press("enter")
        await wizard.until(lambda: isinstance(wizard.app.screen, DoneScreen), "the report")
    assert known["alpha"].runs == 0
    text = path.read_text()
    if fails:
        assert text == FILE
    else:
        expected = FILE.replace("{host: beta}", f"{{host: beta, image: '{image}'}}")
        assert text.partition("based_on")[0] == expected


async def test_a_version_that_is_not_there_and_nothing_to_upgrade(alpha: FakeServer) -> None:
    async with dashboard(alpha) as wizard:
        alpha.newest = b"version\t2.8.2-1\n"
        await wizard.press("g")
        await wizard.see("Version")
        await wizard.type("2.9")
        await wizard.press("enter")
        await wizard.see("alpha: Version 2.9 of docker-registry is not available", "2.8.2-1")
        await wizard.press("enter")
        alpha.newest = b"version\t2.8.2-1\nchosen\t2.8.2-1\n"
        await wizard.press("g", "enter")
        await wizard.see("Nothing to upgrade")
        assert alpha.runs == 0
