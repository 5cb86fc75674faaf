"""Asks what happens to servers that left the deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from moorage.escape import printable
from tui.widgets.choice import Choice, Option, Toggle
from tui.widgets.dialog import AskingDialog
from tui.widgets.key_footer import KeyFooter

_ABOUT = (
    "The answers no longer have these servers. Their registries keep running, and with S3 still "
    "write to the bucket."
)


@dataclass(frozen=True)
class LeftChoice:
    """The choice for servers that left.

    Attributes:
        uninstalls: Whether the apply uninstalls them.
        gone: The labels of those that no longer exist.
    """

    uninstalls: bool = False
    gone: frozenset[str] = frozenset()


class LeftDialog(AskingDialog[LeftChoice | None]):
    """Keep or uninstall the servers, except those that no longer exist.

    Args:
        labels: The servers' labels.
        chosen: The choice so far.
    """

    DEFAULT_CSS = """
    LeftDialog Toggle { margin-bottom: 0; }
    LeftDialog #left-gone { height: auto; margin-bottom: 1; }
    """

    def __init__(self, labels: Sequence[str], chosen: LeftChoice) -> None:
        super().__init__()
        self._choice = Choice(
            [
                Option("keep", "Keep running"),
                Option("uninstall", "Uninstall", "After the apply, when clients no longer ask"),
            ],
            value="uninstall" if chosen.uninstalls else "keep",
        )
        self._gone = {
            label: Toggle(f"{printable(label)} no longer exists", value=label in chosen.gone)
            for label in labels
        }

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Servers that left"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(_ABOUT, classes="dialog--text", markup=False)
                yield self._choice
                with Vertical(id="left-gone"):
                    yield from self._gone.values()
            yield from self.buttons("OK")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Choose at once."""
        self._choice.focus()

    def accept(self) -> None:
        """Return what was chosen."""
        gone = frozenset(label for label, toggle in self._gone.items() if toggle.value)
        self.dismiss(LeftChoice(self._choice.value == "uninstall", gone))
