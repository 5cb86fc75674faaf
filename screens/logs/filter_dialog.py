"""Asks which requests the logs show."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from moorage.deploy.logs.rows import LogFilter, parse_statuses
from moorage.errors import MoorageError
from tui.widgets.dialog import AskingDialog
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter


class FilterDialog(AskingDialog[LogFilter | None]):
    """Asks for a user, a repository and statuses; returns a filter with them.

    Args:
        current: The filter in effect.
    """

    def __init__(self, current: LogFilter) -> None:
        super().__init__()
        self._current = current

    def compose(self) -> ComposeResult:
        current = self._current
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Filter the requests"
            yield Static("Shows only the requests that match. Leave all empty to show everything.",
                         classes="dialog--text", markup=False)  # fmt: skip
            yield Field("User", id="user", value=current.user, placeholder="e.g. ana")
            yield Field("Repository", id="repository", value=current.repository,
                        placeholder="e.g. team/app",
                        help_text="Includes the repositories below it")  # fmt: skip
            yield Field("Status", id="status", value=" ".join(current.statuses),
                        placeholder="e.g. 404 5xx")  # fmt: skip
            yield from self.buttons("Filter")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the first field."""
        self.query_one("#user", Field).focus()

    def accept(self) -> None:
        """Return the filter, or show what is wrong with the status."""
        status = self.query_one("#status", Field)
        try:
            statuses = parse_statuses(status.value)
        except MoorageError as error:
            status.show_error(error.message)
            status.focus()
            return
        self.dismiss(
            LogFilter(
                user=self.query_one("#user", Field).value.strip(),
                repository=self.query_one("#repository", Field).value.strip(),
                statuses=statuses,
                with_checks=self._current.with_checks,
            )
        )
