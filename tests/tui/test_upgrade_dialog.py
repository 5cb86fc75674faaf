"""Upgrades from the dashboard: the version, the plan, the apply."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_server import FakeServer
from sample_images import sample_images
from test_dashboard import dashboard, deployed
from wizard_driver import SIZES

from screens.apply.screen import ApplyScreen
from screens.done.screen import DoneScreen

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
