"""Logs: the registry's journal and nginx's logs of all servers, live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
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
from screens.logs.lines import reorder
from tui.actions import bindings
from tui.labels import explain
from tui.questions.asker import WizardAsker
from tui.widgets.dialog import FindDialog
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.widgets.log_store import LEVELS, LogEntry
from tui.widgets.log_view import LogView


class LogsScreen(Screen[None]):
    """Follows the logs until the screen is closed.

    Args:
        answers: The deployment's answers, with its servers.
        asker: Asks the operator for secrets.
        open_transport: Opens a connection; None goes over SSH.
    """

    help_text = (
        "The registry's journal, nginx's error log and each request, from every server, as they "
        "are written. Reading them changes nothing."
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
        self._tail = LogTail(answers, asker, self._received, self._failed, open_transport)

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._domain, "Logs")
        yield Static("", id="log-title", markup=False)
        yield LogView()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start following the logs."""
        self._log = self.query_one(LogView)
        if len(self._names) == 1:
            self._log.show(server=self._names[0])
        self._log.focus()
        self._show_title()
        self._tail.start()

    def on_unmount(self) -> None:
        """Stop following."""
        self._tail.stop()

    def _received(self, server: str, lines: Sequence[str]) -> None:
        self.post_message(self._Lines(server, lines))

    def _failed(self, server: str, error: MoorageError) -> None:
        self._received(server, [f"✗ {explain(error)}"])

    @on(_Lines)
    def _add(self, message: _Lines) -> None:
        lines = [reorder(line) for line in message.lines]
        self._log.add([LogEntry(message.server, level, printable(text)) for level, text in lines])

    @on(LogView.Moved)
    def _log_moved(self) -> None:
        self._show_title()

    def _show_title(self, result: str = "") -> None:
        """Show which part of the logs is shown, after the result of an action."""
        store = self._log.store
        parts = [result] if result else []
        parts += [printable(store.server) if store.server else "all servers"]
        parts.append(dict(LEVELS)[store.level])
        if store.text:
            parts.append(f"lines with “{store.text}”")
        parts.append("following" if self._log.follows else "paused, press f to follow")
        self.query_one("#log-title", Static).update(Content(" · ".join(parts)))

    def action_level(self) -> None:
        """Show the next level: warnings, errors, or everything."""
        levels = [level for level, _ in LEVELS]
        self._log.show(level=levels[(levels.index(self._log.store.level) + 1) % len(levels)])
        self._show_title()

    def action_next_server(self) -> None:
        """Show one server after the other, then all."""
        shown = [*self._names, ""] if len(self._names) > 1 else self._names
        place = shown.index(self._log.store.server)
        self._log.show(server=shown[(place + 1) % len(shown)])
        self._show_title()

    def action_follow(self) -> None:
        """Follow the end of the log, or pause."""
        self._log.action_follow()

    def action_sideways(self, columns: int) -> None:
        """Scroll long lines sideways."""
        self._log.scroll_relative(x=columns, animate=False)

    @work
    async def action_find(self) -> None:
        """Show only the lines that contain a text."""
        dialog = FindDialog("Find in the logs", self._log.store.text)
        text = await self.app.push_screen_wait(dialog)
        if text is not None:
            self._log.show(text=text.strip())
            self._show_title()

    def action_copy_log(self) -> None:
        """Copy the lines that are shown, up to the last 1,000."""
        lines = self._log.store.lines()[-1000:]
        self.app.copy_to_clipboard("\n".join(lines))
        self._show_title(f"✓ Copied {len(lines)} line{'s' if len(lines) != 1 else ''}")

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)
