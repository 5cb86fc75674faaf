"""Uninstalls from the dashboard: the choices, the plan, the name, the run, the result."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_server import FakeServer, no_answer
from sample_images import sample_images
from test_dashboard import dashboard, deployed
from wizard_driver import SIZES

from moorage.desired import layout

LOG = "@step\t1\tstop\n@step\t2\tleave-nginx\n@step\t3\tremove-files\n" + "".join(
    f"removed {number}\n" for number in range(1, 41)
)


@pytest.fixture
def alpha(tmp_path: Path) -> FakeServer:
    """A deployed server with images and packages that Moorage installed."""
    server = deployed(FakeServer("alpha", images=sample_images(tmp_path / "storage").root))
    server.log = LOG
    return server


@pytest.mark.parametrize("size", SIZES)
async def test_an_uninstall_is_planned_confirmed_by_name_and_followed(
    alpha: FakeServer, size: tuple[int, int]
) -> None:
    async with dashboard(alpha, size=size) as wizard:
        await wizard.search_palette("decommission", "Uninstall the registry")
        await wizard.press("enter")
        await wizard.see("[ ] Delete the images", "[ ] Remove the packages")
        await wizard.press("down", "tab", "space", "enter")
        await wizard.see("registry.example.com is no longer served", "2 users with their", "=")
        await wizard.type("registry")
        await wizard.press("enter")
        await wizard.see("This is not the registry's name")
        assert alpha.runs == 0
        await wizard.type(".example.com")
        await wizard.press("enter")
        await wizard.see("✓ Removing files and units", "✓ The registry was removed.", "Close")
        await wizard.see("removed 40")
        assert "images\tkeep\n" in alpha.settings
        assert "packages\tremove\n" in alpha.settings
        await wizard.press("enter")
        await wizard.see("○ registry.example.com: not deployed")
        assert alpha.runs == 1


async def test_an_uninstall_that_fails_or_has_nothing_to_do_says_so(alpha: FakeServer) -> None:
    alpha.result = "@result\tfailed\tdisk full\n"
    async with dashboard(alpha) as wizard:
        await wizard.press("X")
        await wizard.see("Delete the images")
        await wizard.press("ctrl+s")
        await wizard.see("no longer served")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("✗ Removing files and units", "✗ alpha: failed", "disk full")
        assert "packages\tkeep\n" in alpha.settings
        await wizard.press("enter")
        await wizard.see("(as of ")
        record = alpha.files[layout.DEPLOYMENT]
        alpha.files[layout.DEPLOYMENT] = record.replace(b"registry.ex", b"other.ex")
        await wizard.press("X")
        await wizard.see("Delete the images")
        await wizard.press("ctrl+s")
        await wizard.see("it serves other.example.com", "--server alpha")
        await wizard.press("enter")
        await wizard.until(lambda: "it serves other" not in wizard.text, "the dialog is closed")
        alpha.files = {}
        await wizard.press("X")
        await wizard.see("Delete the images")
        await wizard.press("ctrl+s")
        await wizard.see("Nothing to remove")


async def test_the_run_is_cancelled_after_a_question(alpha: FakeServer) -> None:
    alpha.waits_for_abort = True
    async with dashboard(alpha) as wizard:
        await wizard.press("X")
        await wizard.see("Delete the images")
        await wizard.press("ctrl+s")
        await wizard.see("no longer served")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("● Removing files and units")
        await wizard.press("escape")
        await wizard.see("Cancel the uninstall?")
        await wizard.press("right", "enter")
        await wizard.see("✗ alpha:", "Close")
        assert alpha.aborted.is_set()
        assert layout.DEPLOYMENT in alpha.files


async def test_with_several_servers_the_field_and_the_result_are_in_sight() -> None:
    servers = [deployed(FakeServer(name)) for name in ("alpha", "beta", "gamma", "delta")]
    servers[1].result = "@result\tfailed\tdisk full\n"
    async with dashboard(*servers) as wizard:
        servers[3].fault = no_answer("delta")
        await wizard.press("X")
        await wizard.see("Delete the images")
        await wizard.press("ctrl+s")
        await wizard.see("no longer served", "Type registry.example.com")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("✗ beta: failed", "! Uninstall again when", "reached: delta", "Close")
