"""The commands of the palette in the order of use, not of the alphabet."""

from __future__ import annotations

from textual.command import DiscoveryHit, Hits
from textual.system_commands import SystemCommandsProvider


class InOrder(SystemCommandsProvider):
    """Offers the commands as they come: those of the screen, the steps, then what is everywhere."""

    async def discover(self) -> Hits:
        """Yield every command."""
        for name, about, run, is_offered in self.app.get_system_commands(self.screen):
            if is_offered:
                yield DiscoveryHit(name, run, help=about)
