"""Walks through the wizard's screens, for tests that look at all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from opening import opened
from pretend import PretendServer, Servers, Wizard
from pretend_users import UsersServer, somebody

from tui import keeping
from tui.draft import Draft

ANSWERS = {
    "version": 1,
    "registry": {"domain": "registry.example.com"},
    "servers": [{"host": "alpha"}],
    "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
}
LOG = b"@step\t0\tpackages\nGet:1 something\nW: a warning\nE: an error\n"
STEPS = ("servers", "credentials", "storage", "dns", "ssl", "advanced")


async def every_screen(
    size: tuple[int, int], theme: str = "moorage-dark"
) -> AsyncIterator[tuple[str, Wizard]]:
    """Yield the name of each screen while it is shown."""
    servers = Servers()
    servers["alpha"] = PretendServer("alpha", log=LOG, waits_for_abort=True)
    async with opened(servers, size=size) as wizard:
        wizard.app.theme = theme
        await wizard.pilot.pause()
        yield "welcome", wizard
        await wizard.press("c")
        yield "connect", wizard
        await wizard.press("escape", "enter")
        yield "servers, empty", wizard
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        yield "server dialog", wizard
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        wizard.app.theme = theme
        await wizard.see("1 server:")
        await wizard.see("/etc/moorage/registry/registry.env")
        yield "review, file", wizard
        await wizard.press("home")
        yield "review, server", wizard
        for number, step in enumerate(STEPS, start=1):
            await wizard.press(f"alt+{number}")
            await asyncio.sleep(0.3)
            yield step, wizard
        await wizard.press("alt+3", "down")
        yield "storage, S3", wizard
        await wizard.press("tab", "tab", "shift+tab", "f1")
        yield "help", wizard
        await wizard.press("escape", "alt+3", "up", "f3")
        yield "preview", wizard
        await wizard.press("escape" if size[0] < 120 else "f3", "ctrl+p")
        await asyncio.sleep(0.3)
        yield "palette", wizard
        await wizard.press("escape", "alt+7")
        await wizard.see("1 server:")
        await wizard.press("enter")
        yield "confirm", wizard
        await wizard.press("enter")
        await wizard.see("Installing packages")
        yield "apply", wizard
        await wizard.press("escape")
        yield "cancel", wizard
        await wizard.press("escape")
        servers["alpha"].aborted.set()
        await wizard.see("Not everything went well")
        yield "apply, failed", wizard
        await wizard.press("enter")
        await wizard.see("is not as it should be")
        yield "done, failed", wizard
    async for name, wizard in _users(size, theme):
        yield name, wizard


async def _users(size: tuple[int, int], theme: str) -> AsyncIterator[tuple[str, Wizard]]:
    """Yield the users screen and its dialogs."""
    keeping.keep_applied(Draft(ANSWERS))
    alpha = UsersServer("alpha")
    alpha.put([somebody("ana", "pull", "team-a/*"), somebody("bob", disabled=True), somebody("ci")])
    servers = Servers()
    servers["alpha"] = alpha
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        wizard.app.theme = theme
        await wizard.see("Dashboard")
        await wizard.press("u")
        await wizard.see("3 users")
        await wizard.press("x", "down", "d", "down", "a")
        yield "user dialog", wizard
        await wizard.type("dora")
        await wizard.press("enter")
        await wizard.see("+ added")
        yield "users, staged", wizard
        await wizard.press("e")
        yield "access", wizard
        await wizard.press("escape", "i")
        yield "import", wizard
        await wizard.press("escape", "enter")
        await wizard.see("What will change")
        yield "changes", wizard
        await wizard.press("v")
        yield "changed files", wizard
        alpha.refuses = "no luck"
        await wizard.press("enter")
        await wizard.see("still staged")
        yield "change failed", wizard
        await wizard.press("enter")
        alpha.refuses = ""
        await wizard.see("3 staged", "in step")
        await wizard.press("enter")
        await wizard.see("What will change")
        await wizard.press("enter")
        await wizard.see("Password of dora")
        yield "password", wizard
