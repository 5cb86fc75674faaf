"""Lists and finds the palette's commands. Imported when it opens, because that takes a moment."""

from __future__ import annotations

from textual.command import DiscoveryHit, Hit, Hits
from textual.system_commands import SystemCommandsProvider

from tui.palette import search_words

_LAST = 0.01
"""The score of a command whose title does not match."""


class CommandSearch(SystemCommandsProvider):
    """Lists commands in the order of the footer, and finds them by title or related words."""

    async def discover(self) -> Hits:
        """Yield every command: those of the screen, the steps, then the global ones."""
        for title, about, run, is_offered in self.app.get_system_commands(self.screen):
            if is_offered:
                yield DiscoveryHit(title, run, help=about)

    async def search(self, query: str) -> Hits:
        """Yield the commands that match; those that match by related words come last.

        Args:
            query: The text typed so far.
        """
        matcher = self.matcher(query)
        for title, about, run, _ in self.app.get_system_commands(self.screen):
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=about)
            elif _has_all(f"{title} {search_words(title)}", query):
                yield Hit(_LAST, title, run, help=about)


def _has_all(text: str, query: str) -> bool:
    return all(word in text.lower() for word in query.lower().split())
