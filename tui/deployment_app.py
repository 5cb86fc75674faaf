"""The base of the application, for parts that must not import the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.key_queue import KeysApp

if TYPE_CHECKING:
    from tui.wizard_session import WizardSession


class DeploymentApp(KeysApp):
    """An application with at most one deployment open.

    Attributes:
        session: The open deployment, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.session: WizardSession | None = None

    def show_note(self, title: str, text: str) -> None:
        """Show a text in a dialog."""
        from tui.widgets.dialog import NoteDialog

        self.push_screen(NoteDialog(title, text))
