"""Drives the wizard in tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import settling  # noqa: F401 # lets Pilot wait as it does
from textual.command import CommandPalette
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import OptionList

from tui.app import WizardApp

SIZES = [(80, 24), (120, 40)]


class Wizard:
    """Drives the wizard with the keyboard."""

    def __init__(self, app: WizardApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys and wait until the wizard is idle."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type text, as fast as terminals send it."""
        for character in text:
            key = character if character.isalnum() else _character_to_key(character)
            self.app.post_message(Key(key, character))
        await self.pilot.pause()
        await self.until(lambda: not self.app._typed_keys, f"{text} is typed")
        await self.pilot.pause()

    async def search_palette(self, words: str, found: str) -> None:
        """Open the palette, search for words, and check that a command is found.

        Before it has searched, the palette lists all commands.
        """
        await self.press("ctrl+p")
        await self.see("Key ")
        await self.type(words)
        palette = self.app.screen
        assert isinstance(palette, CommandPalette)
        group = palette._GATHER_COMMANDS_GROUP
        await self.until(
            lambda: not any(each.group == group and each.is_running for each in self.app.workers),
            "the palette has searched",
        )
        commands = palette.query_one(OptionList)
        shown = [str(each.prompt) for each in commands.options]
        assert any(each.startswith(found) for each in shown), shown

    @property
    def text(self) -> str:
        """The text on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    async def see(self, *wanted: str, seconds: float = 60) -> None:
        """Wait until all of these texts are on the screen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.app._exception is None:
            await self.pilot.pause()
            shown = self.text
            if all(each in shown for each in wanted):
                return
            await asyncio.sleep(0.02)
        missing = [each for each in wanted if each not in self.text]
        raise AssertionError(f"{missing} is not on the screen:\n{self.text}")

    async def until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait for a condition that is not visible on the screen, and until that is drawn."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"timed out waiting until {what}:\n{self.text}"
            await self.pilot.pause(0.02)
        await self.pilot.pause()

    async def new_with_server(self, host: str = "server1.example.com") -> None:
        """Go from Start to Servers with a name and a server."""
        await self.press("enter")
        await self.type("registry.example.com")
        await self.press("enter")
        await self.see("Add a server", "Key file")
        await self.type(host)
        await self.press("ctrl+s")
        await self.see(host, "not tested")
