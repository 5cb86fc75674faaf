"""Logs: the registry's journal and nginx's errors of all servers, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from moorage.answers.model import Answers
from moorage.deploy.logs import LogTail
from moorage.deploy.operations import OpenTransport
from moorage.errors import MoorageError
from moorage.escape import printable
from screens.logs.lines import in_order
from tui.actions import bindings
from tui.labels import explain
from tui.questions.asker import WizardAsker
from tui.widgets.dialog import FindDialog
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.widgets.log_store import LEVELS, LogEntry
from tui.widgets.log_view import LogView


class LogsScreen(Screen[None]):
    """Follows the logs until it is left.

    Args:
        answers: Whose servers.
        asker: Who is asked for secrets.
        open_transport: Opens a connection; None goes over SSH.
    """

    help_text = (
        "What the registry and nginx say, as they say it: the registry's journal and nginx's error "
        "log of every server. Nothing is changed by looking."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("logs")
    DEFAULT_CSS = """
    LogsScreen #log-title { height: 1; padding: 0 2; color: $text-muted; background: $surface; }
    LogsScreen LogView { height: 1fr; }
    """

    class _Lines(Message, bubble=False):
        def __init__(self, server: str, lines: Sequence[str]) -> None:
            super().__init__()
            self.server = server
            self.lines = lines

    def __init__(
        self, answers: Answers, asker: WizardAsker, open_transport: OpenTransport | None = None
    ) -> None:
        super().__init__()
        self._domain = answers.registry.domain
        self._names = [server.host for server in answers.servers]
        self._tail = LogTail(answers, asker, self._came, self._failed, open_transport)

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._domain, "Logs")
        yield Static("", id="log-title", markup=False)
        yield LogView()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Begin to follow."""
        self._log = self.query_one(LogView)
        if len(self._names) == 1:
            self._log.show(server=self._names[0])
        self._log.focus()
        self._say_what_is_shown()
        self._tail.start()

    def on_unmount(self) -> None:
        """End it."""
        self._tail.stop()

    def _came(self, server: str, lines: Sequence[str]) -> None:
        self.post_message(self._Lines(server, lines))

    def _failed(self, server: str, error: MoorageError) -> None:
        self._came(server, [f"✗ {explain(error)}"])

    @on(_Lines)
    def _add(self, message: _Lines) -> None:
        told = [in_order(line) for line in message.lines]
        self._log.add([LogEntry(message.server, level, printable(text)) for level, text in told])

    @on(LogView.Moved)
    def _log_moved(self) -> None:
        self._say_what_is_shown()

    def _say_what_is_shown(self, result: str = "") -> None:
        """Say which part of the logs is shown, or what came of something done with it."""
        store = self._log.store
        parts = [result] if result else []
        parts += [f"of {printable(store.server)}" if store.server else "of all servers"]
        parts.append(dict(LEVELS)[store.level])
        if store.text:
            parts.append(f"lines with “{store.text}”")
        parts.append("following" if self._log.follows else "standing still, f follows")
        self.query_one("#log-title", Static).update(Content(" · ".join(parts)))

    def action_level(self) -> None:
        """Show less, then all again."""
        levels = [level for level, _ in LEVELS]
        self._log.show(level=levels[(levels.index(self._log.store.level) + 1) % len(levels)])
        self._say_what_is_shown()

    def action_next_server(self) -> None:
        """Show one server after the other, then all."""
        shown = [*self._names, ""] if len(self._names) > 1 else self._names
        place = shown.index(self._log.store.server)
        self._log.show(server=shown[(place + 1) % len(shown)])
        self._say_what_is_shown()

    def action_follow(self) -> None:
        """Keep the end in sight, or stand still."""
        self._log.action_follow()

    def action_sideways(self, columns: int) -> None:
        """Show what is further right of long lines, or left again."""
        self._log.scroll_relative(x=columns, animate=False)

    def action_find(self) -> None:
        """Show only the lines that hold a text."""

        def found(text: str | None) -> None:
            if text is not None:
                self._log.show(text=text.strip())
                self._say_what_is_shown()

        self.app.push_screen(
            FindDialog("Find in the logs", "Text", value=self._log.store.text, accept="Find",
                        help_text="Shows only lines with it; empty shows all"), found
        )  # fmt: skip

    def action_copy_log(self) -> None:
        """Copy the last lines that are shown."""
        lines = self._log.store.lines()[-1000:]
        self.app.copy_to_clipboard("\n".join(lines))
        self._say_what_is_shown(f"✓ Copied: {len(lines)} line{'s' if len(lines) != 1 else ''}")

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)
