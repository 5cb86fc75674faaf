"""Screenshots of every screen, from a real run on a throwaway server: ``make screenshots``.

Writes SVGs to docs/screenshots or a given folder: python -m lab.screenshots [FOLDER [SIZE
[THEME]]], such as: python -m lab.screenshots /tmp/shots 80x24 light.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab import Lab, LabError, LabServer
from lab.stored_images import store_images

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.app import WizardApp

SERVER = "moorage-screenshots"
DOMAIN = "registry.example.com"
FOLDER = Path(__file__).parent.parent / "docs" / "screenshots"


class Camera:
    """Drives the wizard and takes screenshots.

    Args:
        app: The wizard.
        pilot: Presses its keys.
        folder: The folder for the screenshots.
    """

    def __init__(self, app: WizardApp, pilot: Pilot[int], folder: Path) -> None:
        self._app = app
        self._pilot = pilot
        self._folder = folder

    async def press(self, *keys: str) -> None:
        """Press keys."""
        await self._pilot.press(*keys)
        await self._pilot.pause()

    async def write(self, text: str) -> None:
        """Type text into the focused field."""
        from textual.widgets import Input

        focused = self._app.focused
        assert isinstance(focused, Input)
        focused.insert_text_at_cursor(text)
        await self._pilot.pause()

    async def see(self, wanted: str, seconds: float = 120) -> None:
        """Wait for a text on the screen."""
        end = time.monotonic() + seconds
        shown = ""
        while time.monotonic() < end:
            await self._pilot.pause()
            strips = self._app.screen._compositor.render_strips()
            shown = "\n".join("".join(segment.text for segment in strip) for strip in strips)
            if wanted in shown:
                return
            await asyncio.sleep(0.05)
        raise LabError(f"{wanted!r} does not appear on the screen:\n{shown}")

    async def shoot(self, name: str) -> None:
        """Take a screenshot."""
        await asyncio.sleep(0.4)
        await self._pilot.pause()
        self._app.screen.refresh()  # see() renders a dialog without the screen below it
        svg = self._app.export_screenshot(title="Moorage", simplify=True)
        # Preserve runs of spaces in every viewer, and load no fonts from the network.
        svg = svg.replace("<text ", '<text xml:space="preserve" ')
        svg = re.sub(r"\s*@font-face \{[^}]*\}", "", svg).replace("Fira Code", "DejaVu Sans Mono")
        (self._folder / f"{name}.svg").write_text(svg + "\n", encoding="utf-8")


async def take_all(server: LabServer, folder: Path, size: tuple[int, int], theme: str) -> None:
    """Go through the wizard on a server and take a screenshot of every screen."""
    from tui.app import WizardApp

    app = WizardApp(large_upload=False)
    async with app.run_test(size=size, notifications=False) as pilot:
        app.theme = f"moorage-{theme}"
        camera = Camera(app, pilot, folder)
        await _fill_in(camera, server)
        await _apply(camera)
        store_images(server, "/var/lib/moorage/registry")
        await _afterwards(camera)


async def _fill_in(camera: Camera, server: LabServer) -> None:
    await camera.see("New deployment")
    await camera.press("enter")
    await camera.write(DOMAIN)
    await camera.press("enter")
    await camera.see("Add a server")
    await camera.write(server.address)
    await camera.press("tab")
    await camera.write("root")
    await camera.press("tab", "tab")
    await camera.write(str(server.key))
    await camera.press("ctrl+t")
    await camera.see("root works")
    await camera.shoot("server-dialog")
    await camera.press("ctrl+s")
    await camera.see("Where should the registry run?")
    await camera.shoot("servers")
    for step in ("Credentials", "Storage", "DNS", "SSL", "Advanced"):
        await camera.press("enter")
        await camera.see(f"{step}  ")
        await camera.shoot(step.lower())
    await camera.press("f1")
    await camera.shoot("help")
    await camera.press("escape", "alt+3", "down")
    await camera.shoot("storage-s3")
    await camera.press("up", "alt+7")
    await camera.see("1 server:")


async def _apply(camera: Camera) -> None:
    from textual.widgets import Tree

    await camera.press("home")
    await camera.shoot("review-server")
    app = camera._app
    tree = app.screen.query_one(Tree)
    for _ in range(60):
        if tree.cursor_node and "moorage.conf" in str(tree.cursor_node.label):
            break
        await camera.press("down")
    await camera.shoot("review")
    await camera.press("enter")
    await camera.shoot("confirm")
    await camera.press("enter")
    await camera.see("Installing packages")
    await asyncio.sleep(1.5)
    await camera.shoot("apply")
    await camera.press("escape")
    await camera.shoot("cancel")
    await camera.press("escape")
    await camera.see("is up.")
    await camera.shoot("done")


async def _afterwards(camera: Camera) -> None:
    from textual.widgets import Static, Tree

    app = camera._app
    headings = app.screen.query(".heading").results(Static)
    checks = next(each for each in headings if str(each.content) == "Checks")
    checks.scroll_visible(top=True, animate=False)
    await camera.shoot("done-checks")
    await camera.press("ctrl+s")
    await camera.see("Save the answers")
    await camera.press("enter")
    await camera.see("Saved in")
    await camera.press("escape")
    await camera.see("shown only here")
    await camera.shoot("done-leave")
    await camera.press("right", "enter")
    await camera.see("New deployment")
    await camera.see("healthy")
    await camera.shoot("welcome")
    await camera.press("c")
    await camera.shoot("connect")
    await camera.press("escape", "enter")
    await camera.see("Registry  ")
    await camera.see("Growth not known yet")
    await camera.shoot("dashboard")
    for key, tab, wanted in (
        ("2", "images", "Pushed last"), ("3", "users", "1 user by"), ("4", "activity", "sent in"),
    ):  # fmt: skip
        await camera.press(key)
        await camera.see(wanted)
        await camera.shoot(f"dashboard-{tab}")
    await _images(camera)
    await camera.press("5")
    await camera.see("✓ done")
    await camera.shoot("dashboard-runs")
    await camera.press("1", "l")
    await camera.see("listening on")
    await camera.shoot("logs")
    await camera.press("escape")
    await _users(camera)
    await camera.press("ctrl+p")
    await camera.shoot("palette")
    await camera.press("escape", "s")
    await camera.see("Where should the registry run?")
    await camera.press("alt+6", "tab")
    await camera.write("8443")
    await camera.press("alt+7")
    await camera.see("changed")
    tree = app.screen.query_one(Tree)
    for _ in range(60):
        if tree.cursor_node and "moorage.conf" in str(tree.cursor_node.label):
            break
        await camera.press("down")
    await camera.shoot("review-change")


async def _images(camera: Camera) -> None:
    await camera.press("i")
    await camera.see("repositories by own size")
    await asyncio.sleep(1)
    await camera.press("right", "down")
    await camera.shoot("images")
    await camera.press("enter")
    await camera.see("COPY")
    await camera.shoot("image")
    await camera.press("escape", "e")
    await camera.see("Without a rule")
    await camera.press("enter")
    await camera.see("Add a retention rule")
    await camera.write("team-a/*")
    await camera.press("enter")
    await camera.write("2")
    await camera.press("enter")
    await camera.write("v2.5*")
    await camera.press("ctrl+s")
    await camera.see("last 2, v2.5*")
    await camera.shoot("retention")
    await camera.press("d", "escape")
    await camera.see("repositories by own size")
    await camera.press("escape", "escape")
    await camera.see("sent in")


async def _users(camera: Camera) -> None:
    await camera.press("u")
    await camera.see("1 user")
    for name, keys in (("ana", ()), ("team-a-ci", ("tab", "tab", "down"))):
        await camera.press("a")
        await camera.write(name)
        await camera.press(*keys)
        await camera.shoot("users-add")
        await camera.press("ctrl+s")
        await camera.see(f"+ {name}")
    await camera.shoot("users-staged")
    await camera.press("enter")
    await camera.see("What will change")
    await camera.shoot("users-change")
    await camera.press("enter")
    await camera.see("Password")
    await camera.shoot("users-passwords")
    await camera.press("c", "escape")
    await camera.see("Changed on")
    await camera.shoot("users")
    await camera.press("i")
    await camera.shoot("users-import")
    await camera.press("escape", "escape")
    await camera.see("Registry  ")


def main() -> int:
    """Boot a server, take the screenshots, and remove the server; return the exit status."""
    folder = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else FOLDER
    columns, _, lines = (sys.argv[2] if len(sys.argv) > 2 else "120x40").partition("x")
    theme = sys.argv[3] if len(sys.argv) > 3 else "dark"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with Lab() as lab, tempfile.TemporaryDirectory() as home:
            server = lab.boot(f"{SERVER}-{os.getpid()}")
            _live_in(Path(home), server)
            asyncio.run(take_all(server, folder, (int(columns), int(lines)), theme))
            lab.destroy(server)
    except LabError as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    print(f"Screenshots are in {folder}")
    return 0


def _live_in(home: Path, server: LabServer) -> None:
    """Use an empty home folder that only knows the server."""
    (home / "known_hosts").write_text(server.known_hosts_line() + "\n", encoding="utf-8")
    (home / "ssh_config").write_text(f"Host *\n  UserKnownHostsFile {home}/known_hosts\n")
    os.environ |= {
        "HOME": str(home),
        "MOORAGE_STATE": str(home / ".local/share/moorage"),
        "MOORAGE_SSH_CONFIG": str(home / "ssh_config"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
    os.environ.pop("SSH_AUTH_SOCK", None)
    os.environ.pop("NO_COLOR", None)
    os.chdir(home)


if __name__ == "__main__":
    sys.exit(main())
