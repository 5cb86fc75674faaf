"""The choice of all servers of the deployment, or of one of them."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll

from moorage.answers.model import Answers
from moorage.escape import printable
from tui.widgets.choice import Choice, Option
from tui.widgets.dialog import AskingDialog
from tui.widgets.key_footer import KeyFooter


class ServersDialog(AskingDialog[tuple[str, ...] | None]):
    """Asks for all servers or one of them; returns an empty tuple for all.

    Args:
        title: The title.
        choice: The choice.
    """

    def __init__(self, title: str, choice: Choice) -> None:
        super().__init__()
        self._title = title
        self._choice = choice

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = self._title
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield self._choice
            yield from self.buttons("Show the plan")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Choose at once."""
        self._choice.focus()

    def accept(self) -> None:
        """Return what was chosen."""
        self.dismiss(chosen_servers(self._choice))


def server_choice(answers: Answers, limit: tuple[str, ...] = ()) -> Choice | None:
    """Return a choice of all servers or one of them; None if there is only one.

    Args:
        answers: The deployment's answers.
        limit: The server chosen at first.
    """
    if len(answers.servers) < 2:
        return None
    each = [Option(server.host, f"Only {printable(server.host)}") for server in answers.servers]
    return Choice([Option("", "All servers"), *each], value="".join(limit))


def chosen_servers(choice: Choice | None) -> tuple[str, ...]:
    """Return the chosen server; none for all."""
    return (choice.value,) if choice is not None and choice.value else ()
