"""Logs: the registry's journal and nginx's logs of all servers, live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from moorage.answers.model import Answers
from moorage.deploy.deployment import Deployment
from moorage.deploy.logs.read import LogTail
from moorage.deploy.logs.rows import LEVELS, Level, LogFilter, LogRow
from moorage.deploy.operations import OpenTransport
from moorage.errors import MoorageError
from moorage.escape import printable
from screens.logs.filter_dialog import FilterDialog
from tui.actions import bindings
from tui.labels import explain
from tui.questions.asker import WizardAsker
from tui.styled_once import StyledOnce
from tui.widgets.dialog import FindDialog
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.widgets.log_store import LogEntry
from tui.widgets.log_view import LogView


class LogsScreen(StyledOnce[None]):
    """Follows the logs until the screen is closed.

    Args:
        answers: The deployment's answers, with its servers.
        asker: Asks the operator for secrets.
        open_transport: Opens a connection; None goes over SSH.
        rows: The requests to show at first; None for everything.
    """

    help_text = (
        "The registry's journal, nginx's error log and each request, from every server, as they "
        "are written. Requests have their time, status, method, user, address and path; those "
        "that worked are dim, refused ones amber, failed ones red. Moorage's own checks are marked "
        "[check]. Reading the logs changes nothing."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("logs")
    DEFAULT_CSS = """
    LogsScreen #log-title { height: 1; padding: 0 2; color: $text-muted; background: $surface; }
    LogsScreen LogView { height: 1fr; }
    """

    class _Added(Message, bubble=False):
        def __init__(self, entries: Sequence[LogEntry]) -> None:
            super().__init__()
            self.entries = entries

    def __init__(
        self,
        answers: Answers,
        asker: WizardAsker,
        open_transport: OpenTransport | None = None,
        rows: LogFilter | None = None,
    ) -> None:
        super().__init__()
        self._rows = rows
        self._domain = answers.registry.domain
        self._names = [server.host for server in answers.servers]
        self._deployment = Deployment(answers, asker, open_transport=open_transport)
        self._tail = LogTail(
            self._deployment, asker, self._received, self._failed, on_notice=self._noticed
        )

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
        if self._rows is not None:
            self._log.show(rows=self._rows)
        self._log.focus()
        self._show_title()
        self._tail.start()

    def on_unmount(self) -> None:
        """Stop following."""
        self._tail.stop()

    def _received(self, rows: Sequence[LogRow]) -> None:
        self.post_message(
            self._Added([LogEntry(each.server, each.level, printable(each.text), each)
                         for each in rows])
        )  # fmt: skip

    def _failed(self, server: str, error: MoorageError) -> None:
        text = printable(f"✗ {explain(error)}")
        self.post_message(self._Added([LogEntry(server, Level.ERROR, text)]))

    def _noticed(self, server: str, text: str) -> None:
        entry = LogEntry(server, Level.WARNING, printable(f"! {text}"))
        self.post_message(self._Added([entry]))

    @on(_Added)
    def _add(self, message: _Added) -> None:
        self._log.add(message.entries)

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
        if store.filter.summary:
            parts.append(printable(store.filter.summary))
        parts.append("following" if self._log.follows else "paused, press f to follow")
        self.query_one("#log-title", Static).update(Content(" · ".join(parts)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to change the server only if there are several."""
        return action != "next_server" or len(self._names) > 1

    def action_level(self) -> None:
        """Show the next level: warnings, errors, or everything."""
        levels = [level for level, _ in LEVELS]
        self._log.show(level=levels[(levels.index(self._log.store.level) + 1) % len(levels)])
        self._show_title()

    def action_next_server(self) -> None:
        """Show one server after the other, then all."""
        shown = [*self._names, ""]
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

    @work
    async def action_filter(self) -> None:
        """Show only the requests of a user, to a repository, or with a status."""
        rows = await self.app.push_screen_wait(FilterDialog(self._log.store.filter))
        if rows is not None:
            self._log.show(rows=rows)
            self._show_title()

    def action_checks(self) -> None:
        """Show or hide Moorage's own checks."""
        rows = self._log.store.filter
        self._log.show(rows=replace(rows, with_checks=not rows.with_checks))
        self._show_title()

    def action_copy_log(self) -> None:
        """Copy the lines that are shown, up to the last 1,000."""
        lines = self._log.store.lines()[-1000:]
        self.app.copy_to_clipboard("\n".join(lines))
        self._show_title(f"✓ Copied {len(lines)} line{'s' if len(lines) != 1 else ''}")

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)
